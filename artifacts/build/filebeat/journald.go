package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	v2 "github.com/elastic/beats/v7/filebeat/input/v2"
	cursor "github.com/elastic/beats/v7/filebeat/input/v2/input-cursor"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/feature"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/go-concert/ctxtool"
	"github.com/elastic/go-concert/timed"
)

const (
	inputName = "journald"
	// The key of the position in the registry, as upstream's input has it.
	localJournal = "LOCAL_SYSTEM_JOURNAL"
	// journald rotates files while they are read, and journalctl may end on one that is damaged: it is started again.
	restartDelay = time.Second
)

// What the journal calls a field → what Filebeat calls it. Upstream's names; the rest of an entry is left out.
var names = map[string]string{
	"MESSAGE":                "message",
	"PRIORITY":               "log.syslog.priority",
	"SYSLOG_FACILITY":        "log.syslog.facility.code",
	"SYSLOG_IDENTIFIER":      "syslog.identifier",
	"_COMM":                  "journald.process.name",
	"_HOSTNAME":              "host.hostname",
	"_PID":                   "journald.pid",
	"_SYSTEMD_INVOCATION_ID": "systemd.invocation_id",
	"_SYSTEMD_UNIT":          "systemd.unit",
	"_TRANSPORT":             "systemd.transport",
	"_UID":                   "journald.uid",
}

var numbers = map[string]bool{"PRIORITY": true, "SYSLOG_FACILITY": true, "_PID": true, "_UID": true}

type local struct{}

func (local) Name() string { return localJournal }

// checkpoint is what the registry keeps, in upstream's form.
type checkpoint struct {
	Version  int
	Position string
}

type input struct {
	// Where to begin without a position in the registry: head or tail.
	Seek string `config:"seek"`
}

// journald reads the journal by journalctl, as upstream does since 8.16. Its position is saved once the output, or the
// spool, has taken an entry: nothing is lost by a restart.
func journald(log *logp.Logger, store cursor.StateStore) v2.Plugin {
	return v2.Plugin{
		Name:      inputName,
		Stability: feature.Stable,
		Info:      "journald input",
		Manager:   &cursor.InputManager{Logger: log, StateStore: store, Type: inputName, Configure: configure},
	}
}

func configure(settings *common.Config) ([]cursor.Source, cursor.Input, error) {
	in := input{Seek: "head"}
	if err := settings.Unpack(&in); err != nil {
		return nil, nil, err
	}
	if in.Seek != "head" && in.Seek != "tail" {
		return nil, nil, fmt.Errorf("seek is %q: use head or tail", in.Seek)
	}
	return []cursor.Source{local{}}, in, nil
}

func (input) Name() string { return inputName }

func (input) Test(cursor.Source, v2.TestContext) error {
	_, err := exec.LookPath("journalctl")
	return err
}

func (in input) Run(ctx v2.Context, _ cursor.Source, saved cursor.Cursor, publisher cursor.Publisher) error {
	at := checkpoint{Version: 1}
	if !saved.IsNew() {
		if err := saved.Unpack(&at); err != nil {
			return fmt.Errorf("the journal's position in the registry cannot be read: %w", err)
		}
	}
	for ctx.Cancelation.Err() == nil {
		err := in.follow(ctxtool.FromCanceller(ctx.Cancelation), ctx.Logger, &at, publisher)
		if ctx.Cancelation.Err() == nil {
			ctx.Logger.Warnf("journalctl ended and is started again: %v", err)
			_ = timed.Wait(ctx.Cancelation, restartDelay) // an error is the end, which the loop sees
		}
	}
	return nil
}

// follow publishes entries until journalctl ends.
func (in input) follow(ctx context.Context, log *logp.Logger, at *checkpoint, publisher cursor.Publisher) (failed error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// --all: long fields come whole, and not as null.
	arguments := []string{"--follow", "--output=json", "--all", "--no-pager"}
	switch {
	case at.Position != "":
		arguments = append(arguments, "--no-tail", "--after-cursor="+at.Position)
	case in.Seek == "tail":
		arguments = append(arguments, "--lines=0")
	default:
		arguments = append(arguments, "--no-tail")
	}
	command := exec.CommandContext(ctx, "journalctl", arguments...)
	var said strings.Builder
	command.Stderr = &said
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	defer func() {
		cancel()
		failed = errors.Join(failed, command.Wait(), errors.New(strings.TrimSpace(said.String())))
	}()
	reader := bufio.NewReaderSize(output, 1<<16)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return err
		}
		event, position, err := convert(line)
		if err != nil {
			// One entry that cannot be read must not keep back those after it.
			log.Error(err)
			continue
		}
		at.Position = position
		if err := publisher.Publish(event, *at); err != nil {
			return err
		}
	}
}

// convert makes an event of one line of journalctl's JSON.
func convert(line []byte) (beat.Event, string, error) {
	var entry map[string]json.RawMessage
	if err := json.Unmarshal(line, &entry); err != nil {
		return beat.Event{}, "", fmt.Errorf("journalctl wrote %q: %w", line, err)
	}
	microseconds, err := strconv.ParseInt(text(entry["__REALTIME_TIMESTAMP"]), 10, 64)
	if err != nil {
		return beat.Event{}, "", fmt.Errorf("an entry of the journal has no time: %w", err)
	}
	fields := common.MapStr{}
	for theirs, ours := range names {
		value, known := entry[theirs]
		if !known {
			continue
		}
		if number, err := strconv.ParseInt(text(value), 10, 64); numbers[theirs] && err == nil {
			_, _ = fields.Put(ours, number) // fails where a value is in the way of a key: names has no such pair
		} else {
			_, _ = fields.Put(ours, text(value))
		}
	}
	return beat.Event{Timestamp: time.UnixMicro(microseconds), Fields: fields}, text(entry["__CURSOR"]), nil
}

// text is a field's value: a string; an array of numbers, the bytes, where it is not printable; or an array of those
// where an entry has the field several times, of which the first counts.
func text(value json.RawMessage) string {
	var single string
	if json.Unmarshal(value, &single) == nil {
		return single
	}
	var codes []uint16
	if json.Unmarshal(value, &codes) == nil {
		raw := make([]byte, len(codes))
		for i, code := range codes {
			raw[i] = byte(code)
		}
		return strings.ToValidUTF8(string(raw), "\uFFFD")
	}
	var several []json.RawMessage
	if json.Unmarshal(value, &several) == nil && len(several) > 0 {
		return text(several[0])
	}
	return ""
}
