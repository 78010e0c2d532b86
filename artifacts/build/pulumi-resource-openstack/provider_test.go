package main

import (
	"testing"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/terraform-provider-openstack/terraform-provider-openstack/v3/openstack"
)

func TestEveryTerraformNameHasAToken(t *testing.T) {
	table, upstream := readTokenTable(), openstack.Provider()
	for name := range upstream.ResourcesMap {
		if table.Resources[name] == "" {
			t.Errorf("tokens.json lacks the resource %s", name)
		}
	}
	for name := range upstream.DataSourcesMap {
		if table.Functions[name] == "" {
			t.Errorf("tokens.json lacks the data source %s", name)
		}
	}
}

func TestEveryTokenHasATerraformName(t *testing.T) {
	table, upstream := readTokenTable(), openstack.Provider()
	for name, token := range table.Resources {
		if upstream.ResourcesMap[name] == nil {
			t.Errorf("%s names the resource %s, which the provider does not have", token, name)
		}
	}
	for name, token := range table.Functions {
		if upstream.DataSourcesMap[name] == nil {
			t.Errorf("%s names the data source %s, which the provider does not have", token, name)
		}
	}
	for name, token := range table.DeprecatedResources {
		if table.Resources[name] == "" {
			t.Errorf("%s is the old token of %s, which has no current one", token, name)
		}
	}
	for name, token := range table.DeprecatedFunctions {
		if table.Functions[name] == "" {
			t.Errorf("%s is the old token of %s, which has no current one", token, name)
		}
	}
}

func TestProviderServesCurrentAndDeprecatedTokens(t *testing.T) {
	table, info := readTokenTable(), provider()
	if got, want := len(info.Resources), len(table.Resources)+len(table.DeprecatedResources); got != want {
		t.Errorf("%d resources are served, want %d", got, want)
	}
	if got, want := len(info.DataSources), len(table.Functions)+len(table.DeprecatedFunctions); got != want {
		t.Errorf("%d data sources are served, want %d", got, want)
	}
	for name, old := range table.DeprecatedResources {
		if token := info.Resources[name+tfbridge.RenamedEntitySuffix].Tok; token != old {
			t.Errorf("%s is served as %s, want %s", name, token, old)
		}
	}
}
