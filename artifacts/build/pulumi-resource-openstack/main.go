// pulumi-resource-openstack serves the OpenStack resources of the Terraform provider to Pulumi programs.
//
// Pulumi's own build of this plugin is downloaded from its site. Where that site cannot be reached, this one is built
// from Go modules alone; it speaks the same tokens and is used with the same Python package.
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
)

// The SDK that calls the plugin carries the full schema; the plugin itself only has to name the package.
//
//go:embed schema.json
var schema []byte

func main() {
	tfbridge.Main(packageName, version, provider(), schema)
}
