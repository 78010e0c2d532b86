// Command dougong-registry does what a registry (distribution) leaves to others: it hands out the tokens that the
// registry asks for, collects garbage while pushes go on, and says how much each project keeps.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: dougong-registry COMMAND FILE
  tokens    hand out tokens, as the registry's auth.token asks for them
  collect   remove what no manifest refers to; pushes may go on
  usage     write how many bytes each project keeps
FILE is the JSON file of settings.
`

var commands = map[string]func(context.Context, settings) error{
	"tokens":  serveTokens,
	"collect": collect,
	"usage":   writeUsage,
}

func main() {
	if len(os.Args) != 3 || commands[os.Args[1]] == nil {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	set, err := readSettings(os.Args[2])
	if err == nil {
		err = commands[os.Args[1]](ctx, set)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
