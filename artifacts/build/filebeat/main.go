// Filebeat with upstream's inputs, and a journald input that needs no C library.
package main

import (
	"os"

	"github.com/elastic/beats/v7/filebeat/beater"
	"github.com/elastic/beats/v7/filebeat/cmd"
	inputs "github.com/elastic/beats/v7/filebeat/input/default-inputs"
	v2 "github.com/elastic/beats/v7/filebeat/input/v2"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/logp"
)

func main() {
	all := func(info beat.Info, log *logp.Logger, store beater.StateStore) []v2.Plugin {
		return append(inputs.Init(info, log, store), journald(log, store))
	}
	if err := cmd.Filebeat(all, cmd.FilebeatSettings()).Execute(); err != nil {
		os.Exit(1)
	}
}
