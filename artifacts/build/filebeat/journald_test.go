package main

import "testing"

func TestValuesOfEachForm(t *testing.T) {
	for given, wanted := range map[string]string{
		`"a line"`:         "a line",
		`[104,105,255]`:    "hi\uFFFD",
		`["first","next"]`: "first",
		`[[104,105],"x"]`:  "hi",
		`null`:             "",
	} {
		if got := text([]byte(given)); got != wanted {
			t.Errorf("%s: got %q, want %q", given, got, wanted)
		}
	}
}

func TestAnEntryKeepsTimePositionAndTypes(t *testing.T) {
	event, position, err := convert([]byte(`{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1700000000123456","MESSAGE":"m","PRIORITY":"6","_SYSTEMD_UNIT":"x.service","OTHER":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	if position != "s=1;i=2" || event.Timestamp.UnixMicro() != 1700000000123456 {
		t.Errorf("position %q, time %v", position, event.Timestamp)
	}
	for field, wanted := range map[string]any{"message": "m", "log.syslog.priority": int64(6), "systemd.unit": "x.service"} {
		if got, _ := event.Fields.GetValue(field); got != wanted {
			t.Errorf("%s: got %v, want %v", field, got, wanted)
		}
	}
	if found, _ := event.Fields.HasKey("OTHER"); found {
		t.Error("an unknown field was kept")
	}
}

func TestWhatIsNoEntryIsSaid(t *testing.T) {
	for _, line := range []string{"no JSON", `{"MESSAGE":"without a time"}`} {
		if _, _, err := convert([]byte(line)); err == nil {
			t.Errorf("%s was taken", line)
		}
	}
}
