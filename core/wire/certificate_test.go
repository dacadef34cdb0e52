package wire_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/wire"
)

func TestACertificateIsReloadedWhenItsFilesChange(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	dev, err := wire.DevelopmentCertificate(dir, []string{"leat.test"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := wire.DevelopmentCertificate(dir, []string{"leat.test"}, nil)
	if err != nil || again.Fingerprint != dev.Fingerprint {
		t.Errorf("the certificate is not kept: %v", err)
	}
	if wider, err := wire.DevelopmentCertificate(dir, []string{"leat.test", "10.0.0.1"}, nil); err != nil || wider.Fingerprint == dev.Fingerprint {
		t.Errorf("the certificate does not follow the hosts: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "key.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key is %v, %v", info.Mode(), err)
	}

	loaded, err := wire.LoadCertificate(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), nil)
	if err != nil {
		t.Fatal(err)
	}
	addr, stop := start(t, wire.Config{}, loaded)
	defer stop()
	works := func(ca string) bool {
		c := client(t, h1, ca)
		defer c.CloseIdleConnections()
		res, err := c.Do(post(t, "https://"+addr, "Greeter_1.Nothing", strings.NewReader("{}")))
		if err == nil {
			res.Body.Close()
		}
		return err == nil
	}
	if !works(dev.CAFile) {
		t.Fatal("the certificate is not accepted")
	}
	if _, err := wire.DevelopmentCertificate(other, nil, nil); err != nil {
		t.Fatal(err)
	}
	move := func(name string) {
		if err := os.Rename(filepath.Join(other, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	old := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.Rename(filepath.Join(dir, "ca.pem"), old); err != nil {
		t.Fatal(err)
	}
	move("cert.pem") // and the key is still the other's
	time.Sleep(1100 * time.Millisecond)
	if !works(old) {
		t.Error("half a change has taken effect")
	}
	move("key.pem")
	move("ca.pem")
	time.Sleep(1100 * time.Millisecond)
	if !works(filepath.Join(dir, "ca.pem")) {
		t.Error("the new certificate has not been loaded")
	}
	if _, err := wire.LoadCertificate(filepath.Join(dir, "none.pem"), filepath.Join(dir, "key.pem"), nil); err == nil {
		t.Error("a missing certificate was loaded")
	}
}
