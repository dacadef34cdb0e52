// Package quickstart follows the README as a newcomer would: it copies the tree, runs the first command as it stands
// there, and compares every row of the example's CSV with the objects, by means of the standard library alone. Then it
// does so again, for nothing may be delivered twice, and a third time with rows appended.
package quickstart

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/testenv"
)

const example = "pipelines/examples/birdstrikes"

// columns are the names in the example's pipeline file, in the order of the CSV; # marks numbers.
var columns = []string{
	"airport_name", "aircraft_model", "effect_amount_of_damage", "flight_date", "operator", "origin_state", "phase_of_flight",
	"wildlife_size", "wildlife_species", "time_of_day", "#cost_other", "#cost_repair", "#cost_total", "#speed_ias_knots",
}

const state = 5 // index of the column that objects are grouped by

func TestTheFirstCommandOfTheREADME(t *testing.T) {
	tree := clone(t)
	command := firstCommand(t, filepath.Join(tree, "README.md"))
	rows := readCSV(t, filepath.Join(tree, example, "birdstrikes.csv"))
	if len(rows) != 10_000 {
		t.Fatalf("birdstrikes.csv has %d rows", len(rows))
	}
	broken := readLines(t, filepath.Join(tree, example, "broken.csv"))[1:]

	run(t, tree, command)
	objects := readObjects(t, filepath.Join(tree, example, "out"))
	compare(t, rows, objects)
	compareDead(t, broken, filepath.Join(tree, example, "out-errors"))
	if states := groups(objects); len(states) != 29 {
		t.Errorf("objects are grouped by %d states: %q", len(states), states)
	}

	run(t, tree, command)
	again := readObjects(t, filepath.Join(tree, example, "out"))
	if names := missing(objects, again); len(names) > 0 || len(again) != len(objects) {
		t.Errorf("the second run changed the objects: there were %d, now there are %d, %q are gone", len(objects), len(again), names)
	}
	compareDead(t, broken, filepath.Join(tree, example, "out-errors"))

	appended := [][]string{slices.Clone(rows[0]), slices.Clone(rows[9_999])}
	appended[0][0], appended[1][0] = "APPENDED, ONE", "APPENDED TWO"
	appendRows(t, filepath.Join(tree, example, "birdstrikes.csv"), appended)
	run(t, tree, command)
	third := readObjects(t, filepath.Join(tree, example, "out"))
	maps.DeleteFunc(third, func(name string, _ []string) bool { return objects[name] != nil })
	compare(t, appended, third)
	compareDead(t, broken, filepath.Join(tree, example, "out-errors"))
}

// The README's files of the reader's first transform are written and run as it says.
func TestTheFirstTransformOfTheREADME(t *testing.T) {
	tree := clone(t)
	_, section, ok := strings.Cut(strings.Join(readLines(t, filepath.Join(tree, "README.md")), "\n"), "\n## Your first transform\n")
	if !ok {
		t.Fatal("the README has no section Your first transform")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	if err := os.MkdirAll(filepath.Join(tree, "mine", "shout"), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, language := range map[string]string{"mine/shout/main.go": "go", "mine/pipeline.yaml": "yaml"} {
		_, block, _ := strings.Cut(section, "```"+language+"\n")
		block, _, ok := strings.Cut(block, "```\n")
		if !ok {
			t.Fatalf("the section has no block for %s", name)
		}
		if err := os.WriteFile(filepath.Join(tree, name), []byte(block), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var output string
	for line := range strings.Lines(section) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			output += run(t, tree, strings.TrimSpace(command))
		}
	}
	if !strings.Contains(output, "pass  mine: it shouts") || !strings.Contains(output, "\nGOOD MORNING\n") {
		t.Errorf("the commands print %s", output)
	}
}

// clone copies what a clone of the repository would have, or skips the test.
func clone(t *testing.T) (to string) {
	t.Helper()
	testenv.Wanted(t, "LEAT_QUICKSTART", "build and run leat in a copy of the tree")
	const from = "../.."
	to = t.TempDir()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil // removed meanwhile
			}
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", "leat-data", "out", "out-errors":
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o777)
		}
		if !d.Type().IsRegular() || rel == "leat" {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), content, 0o666)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// firstCommand returns the first command that the README shows.
func firstCommand(t *testing.T, readme string) string {
	t.Helper()
	for _, line := range readLines(t, readme) {
		if command := strings.TrimSpace(line); strings.HasPrefix(command, "go run ./cmd/leat ") {
			return command
		}
	}
	t.Fatal("the README shows no command that begins with go run ./cmd/leat")
	return ""
}

func run(t *testing.T, tree, command string) string {
	t.Helper()
	began := time.Now()
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = tree
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	t.Logf("%s (%.1f s)\n%s", command, time.Since(began).Seconds(), out)
	return string(out)
}

func readLines(t *testing.T, path string) []string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(content), "\r\n", "\n"), "\n"), "\n")
}

func readCSV(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

// appendRows ends the last line, which has no newline, and adds rows.
func appendRows(t *testing.T, path string, rows [][]string) {
	t.Helper()
	var text bytes.Buffer
	text.WriteString("\r\n")
	w := csv.NewWriter(&text)
	w.UseCRLF = true
	if err := w.WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(text.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// readObjects returns the lines of all objects below dir, by name.
func readObjects(t *testing.T, dir string) map[string][]string {
	t.Helper()
	objects := map[string][]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		var content io.Reader = f
		if strings.HasSuffix(name, ".gz") {
			if content, err = gzip.NewReader(f); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		for lines := bufio.NewScanner(content); ; {
			if !lines.Scan() {
				return lines.Err()
			}
			objects[name] = append(objects[name], lines.Text())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// missing returns the names in a that b has not, or not with the same lines.
func missing(a, b map[string][]string) (names []string) {
	for name, lines := range a {
		if !slices.Equal(lines, b[name]) {
			names = append(names, name)
		}
	}
	return names
}

func groups(objects map[string][]string) []string {
	dirs := map[string]bool{}
	for name := range objects {
		dirs[filepath.Dir(name)] = true
	}
	return slices.Sorted(maps.Keys(dirs))
}

// compare checks that each row is in exactly one object, that of its state, and nothing else is.
func compare(t testenv.TB, rows [][]string, objects map[string][]string) {
	t.Helper()
	want := map[string]int{}
	for _, row := range rows {
		want["state="+row[state]+" "+expected(t, row)]++
	}
	for name, lines := range objects {
		for _, line := range lines {
			want[filepath.Dir(name)+" "+canonical(t, line)]--
		}
	}
	wrong := 0
	for key, n := range want {
		if n == 0 {
			continue
		}
		if wrong++; wrong <= 5 {
			t.Errorf("%+d too few: %s", n, key)
		}
	}
	if wrong > 5 {
		t.Errorf("and %d more differences", wrong-5)
	}
}

// expected is what a row should become.
func expected(t testenv.TB, row []string) string {
	t.Helper()
	object := map[string]any{}
	for i, name := range columns {
		number, ok := strings.CutPrefix(name, "#")
		switch {
		case !ok:
			object[name] = row[i]
		case row[i] == "":
			object[number] = nil
		default:
			n, err := strconv.ParseInt(row[i], 10, 64)
			if err != nil {
				t.Fatalf("row %q: %v", row, err)
			}
			object[number] = n
		}
	}
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return string(text)
}

func canonical(t testenv.TB, line string) string {
	t.Helper()
	var object map[string]any
	dec := json.NewDecoder(strings.NewReader(line))
	dec.UseNumber()
	if err := dec.Decode(&object); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return string(text)
}

// compareDead checks that each broken row is in the dead letters once, with a code and a reason.
func compareDead(t *testing.T, rows []string, dir string) {
	t.Helper()
	want := map[string]int{}
	for _, row := range rows {
		want[row]++
	}
	for _, lines := range readObjects(t, dir) {
		for _, line := range lines {
			var letter struct{ RawData, ErrorCode, ErrorMessage string }
			if err := json.Unmarshal([]byte(line), &letter); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			raw, err := base64.StdEncoding.DecodeString(letter.RawData)
			if err != nil || letter.ErrorCode == "" || letter.ErrorMessage == "" {
				t.Errorf("dead letter without a reason or its data: %s", line)
			}
			want[string(raw)]--
		}
	}
	for row, n := range want {
		if n != 0 {
			t.Errorf("%+d too few dead letters of %q", n, row)
		}
	}
}

func TestCompareFindsALostADoubledAndAMisplacedRow(t *testing.T) {
	row := slices.Repeat([]string{"1"}, len(columns))
	line := expected(t, row)
	for name, objects := range map[string]map[string][]string{
		"lost":      {},
		"doubled":   {"state=1/a": {line, line}},
		"misplaced": {"state=2/a": {line}},
		"changed":   {"state=1/a": {strings.Replace(line, `"1"`, `"2"`, 1)}},
	} {
		if testenv.Verdict(func(t testenv.TB) { compare(t, [][]string{row}, objects) }) == "" {
			t.Errorf("%s: not found", name)
		}
	}
}
