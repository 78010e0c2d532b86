// Command registry is distribution's with what a platform of ours stores its images in: a volume or S3. The SDKs of the
// clouds that its other drivers are for are most of what would have to be downloaded and compiled.
package main

import (
	"os"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	_ "github.com/distribution/distribution/v3/registry/proxy"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws"
)

func main() {
	// It has said what is wrong.
	if registry.RootCmd.Execute() != nil {
		os.Exit(1)
	}
}
