package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/terraform-provider-openstack/terraform-provider-openstack/v3/openstack"
)

const (
	packageName = "openstack"
	// version of the Python package pulumi-openstack whose tokens these are; its SDK asks for exactly this plugin.
	version = "5.5.3"
	// Names are what the user gave plus a random suffix, within the 255 characters that OpenStack allows.
	maxNameLength = 255
)

//go:embed tokens.json
var tokensJSON []byte

//go:embed bridge-metadata.json
var bridgeMetadata []byte

// tokenTable says which Pulumi token stands for which Terraform resource or data source. It is a table and not a rule:
// the tokens of the published SDK grew over years and follow none (serverGroup but quotaSetV2, getAvailbilityZones).
type tokenTable struct {
	Resources map[string]tokens.Type
	Functions map[string]tokens.ModuleMember
	// Older tokens of the same resources and functions, still served so that existing state can be read.
	DeprecatedResources map[string]tokens.Type
	DeprecatedFunctions map[string]tokens.ModuleMember
}

func readTokenTable() tokenTable {
	var table tokenTable
	if err := json.Unmarshal(tokensJSON, &table); err != nil {
		panic(fmt.Sprintf("tokens.json, embedded in this binary, cannot be read: %v", err))
	}
	return table
}

// module of a token: "compute" of "openstack:compute/instance:Instance".
func module(token string) string {
	path, _, _ := strings.Cut(strings.TrimPrefix(token, packageName+":"), "/")
	return path
}

func provider() tfbridge.ProviderInfo {
	table := readTokenTable()
	info := tfbridge.ProviderInfo{
		P:                       shim.NewProvider(openstack.Provider()),
		Name:                    packageName,
		Version:                 version,
		GitHubOrg:               "terraform-provider-openstack",
		TFProviderModuleVersion: "v3",
		MetadataInfo:            tfbridge.NewProviderMetadata(bridgeMetadata),
		Resources:               map[string]*tfbridge.ResourceInfo{},
		DataSources:             map[string]*tfbridge.DataSourceInfo{},
	}
	for name, token := range table.Resources {
		info.Resources[name] = &tfbridge.ResourceInfo{Tok: token}
	}
	// The one property that the SDK calls other than the bridge would: "outputs" is taken in some of its languages.
	info.Resources["openstack_orchestration_stack_v1"].Fields = map[string]*tfbridge.SchemaInfo{
		"outputs": {Name: "StackOutputs"},
	}
	for name, token := range table.Functions {
		info.DataSources[name] = &tfbridge.DataSourceInfo{Tok: token}
	}
	for name, old := range table.DeprecatedResources {
		token := table.Resources[name]
		info.RenameResourceWithAlias(name, old, token, module(string(old)), module(string(token)), info.Resources[name])
	}
	for name, old := range table.DeprecatedFunctions {
		token := table.Functions[name]
		info.RenameDataSource(name, old, token, module(string(old)), module(string(token)), info.DataSources[name])
	}
	info.SetAutonaming(maxNameLength, "-")
	return info
}
