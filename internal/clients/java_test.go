package clients

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/leatstream/leat/internal/testenv"
)

func TestJava(t *testing.T) {
	wanted(t)
	java := maven(t, "java")
	java.main(t, serve(t).url)
}

// The library's workers keep their leases in DynamoDB Local.
func TestClientLibrary(t *testing.T) {
	wanted(t)
	java, dynamodb := maven(t, "kcl"), maven(t, "dynamodb")
	leat := serve(t)
	addr := freeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	// Its native libraries lie between its jars.
	background(t, exec.Command(dynamodb.java, "-Djava.library.path="+dynamodb.lib, "-cp", dynamodb.classPath,
		"com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-sharedDb", "-disableTelemetry", "-port", port))
	await(t, addr)
	for _, retrieval := range []string{"fan-out", "polling"} {
		t.Run(retrieval, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			java.main(t, leat.url, "http://"+addr, retrieval)
		})
	}
}

// The library speaks TLS alone, and checks the certificate.
func TestProducerLibrary(t *testing.T) {
	wanted(t)
	java := maven(t, "kpl")
	addr := freeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	leat := serve(t, "--tls-self-signed", "--tls-addr", addr)
	java.main(t, leat.url, port, filepath.Join(leat.data, "tls", "ca.pem"))
}

// program is a program in Java with its libraries.
type program struct {
	java, lib, classPath string
}

// maven builds a client's program and fetches its libraries.
func maven(t *testing.T, client string) program {
	t.Helper()
	java := testenv.Program(t, "java", "apt-get install default-jdk-headless")
	testenv.Program(t, "javac", "apt-get install default-jdk-headless")
	mvn := testenv.Program(t, "mvn", "apt-get install maven")
	dir := installed(t, client, func(dir string) {
		run(t, dir, nil, mvn, "--quiet", "--batch-mode", "compile", "dependency:copy-dependencies", "-DoutputDirectory=lib")
	})
	lib := filepath.Join(dir, "lib")
	return program{java, lib, filepath.Join(dir, "target", "classes") + string(os.PathListSeparator) + filepath.Join(lib, "*")}
}

func (p program) main(t *testing.T, args ...string) {
	t.Helper()
	run(t, "", nil, p.java, append([]string{"-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", p.classPath, "Main"}, args...)...)
}
