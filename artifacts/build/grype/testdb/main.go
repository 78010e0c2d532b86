// Command testdb makes a database for grype with one vulnerability, so that a scan can be tried where none can be
// fetched: TEST-2026-0001, of severity high, in Debian 13's package "leaky" before 1.0-2.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"
	build "github.com/anchore/grype/grype/db/v6/build"
)

func main() {
	output := flag.String("output", "", "the archive; it ends in .tar.gz")
	flag.Parse()
	if err := run(*output); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(output string) error {
	output, err := filepath.Abs(output)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp(filepath.Dir(output), "testdb")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := write(folder); err != nil {
		return err
	}
	if err := build.CreateArchive(folder, "tar.gz", nil); err != nil {
		return err
	}
	made, err := filepath.Glob(filepath.Join(folder, "*.tar.gz"))
	if err != nil || len(made) != 1 {
		return fmt.Errorf("archives in %s: %v %w", folder, made, err)
	}
	return os.Rename(made[0], output)
}

func write(folder string) error {
	store, err := v6.NewWriter(v6.Config{DBDirPath: folder})
	if err != nil {
		return err
	}
	captured := time.Now().UTC()
	provider := &v6.Provider{ID: "debian", Version: "1", Processor: "testdb", DateCaptured: &captured}
	found := &v6.VulnerabilityHandle{
		Name:     "TEST-2026-0001",
		Status:   v6.VulnerabilityActive,
		Provider: provider,
		BlobValue: &v6.VulnerabilityBlob{
			ID:         "TEST-2026-0001",
			Severities: []v6.Severity{{Scheme: v6.SeveritySchemeCHMLN, Value: "high", Rank: 1}},
		},
	}
	affected := &v6.AffectedPackageHandle{
		Vulnerability:   found,
		OperatingSystem: &v6.OperatingSystem{Name: "debian", MajorVersion: "13", Codename: "trixie"},
		Package:         &v6.Package{Name: "leaky", Ecosystem: "deb"},
		BlobValue: &v6.PackageBlob{Ranges: []v6.Range{{
			Version: v6.Version{Type: "deb", Constraint: "< 1.0-2"},
			Fix:     &v6.Fix{Version: "1.0-2", State: v6.FixedStatus},
		}}},
	}
	for _, step := range []func() error{
		func() error { return store.AddProvider(*provider) },
		func() error { return store.AddVulnerabilities(found) },
		func() error { return store.AddAffectedPackages(affected) },
		store.Close,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
