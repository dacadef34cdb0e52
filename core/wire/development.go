package wire

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// Development is a certificate that leat made for itself.
type Development struct {
	*Certificate
	// CAFile holds the authority that clients have to trust: AWS_CA_BUNDLE and the like take its path.
	CAFile string
	// Fingerprint is the SHA-256 of the certificate, as browsers and openssl show it: AB:CD:…
	Fingerprint string
}

// Life of a development certificate: clients of Apple refuse more than 825 days, and it is renewed while it still holds a
// month.
const (
	developmentLife  = 398 * 24 * time.Hour
	developmentRenew = 30 * 24 * time.Hour
)

// DevelopmentCertificate returns the certificate kept in dir, for loopback and hosts: names or IP addresses. It is made when
// there is none, when it is about to expire and when hosts has grown. It is signed by an authority of its own, whose key is
// thrown away at once: nobody can sign another with it.
func DevelopmentCertificate(dir string, hosts []string, logger *slog.Logger) (*Development, error) {
	hosts = append([]string{"localhost", "*.localhost", "127.0.0.1", "::1"}, hosts...)
	d := &Development{CAFile: filepath.Join(dir, "ca.pem")}
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if !holds(certFile, d.CAFile, hosts, time.Now()) {
		if err := makeDevelopment(dir, d.CAFile, certFile, keyFile, hosts, time.Now()); err != nil {
			return nil, fault.New(fault.Unavailable, "tls.development", "make a TLS certificate for development in %s: %w", dir, err)
		}
	}
	var err error
	if d.Certificate, err = LoadCertificate(certFile, keyFile, logger); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(d.current.Certificate[0])
	d.Fingerprint = strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
	return d, nil
}

// holds reports whether the certificate of a file may still be used for hosts.
func holds(certFile, caFile string, hosts []string, now time.Time) bool {
	p, err := os.ReadFile(certFile)
	block, rest := pem.Decode(p)
	if err != nil || block == nil {
		return false
	}
	if ca, err := os.ReadFile(caFile); err != nil || !bytes.Equal(ca, rest) {
		return false
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || now.Before(cert.NotBefore) || now.After(cert.NotAfter.Add(-developmentRenew)) {
		return false
	}
	return !slices.ContainsFunc(hosts, func(h string) bool {
		if ip := net.ParseIP(h); ip != nil {
			return !slices.ContainsFunc(cert.IPAddresses, ip.Equal)
		}
		return !slices.Contains(cert.DNSNames, h)
	})
}

func makeDevelopment(dir, caFile, certFile, keyFile string, hosts []string, now time.Time) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "leat development authority " + now.UTC().Format(time.DateOnly)},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(developmentLife),
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	if ca, err = x509.ParseCertificate(caDER); err != nil { // with its key's id, which strict clients look for
		return err
	}
	leaf := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "leat development"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, h)
		}
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	caPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	leafPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leafDER})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	for _, f := range []struct {
		name string
		pem  []byte
		mode os.FileMode
	}{{keyFile, keyPEM, 0o600}, {caFile, caPEM, 0o644}, {certFile, append(leafPEM, caPEM...), 0o644}} {
		if err := replaceFile(f.name, f.pem, f.mode); err != nil {
			return err
		}
	}
	return nil
}

func serial() *big.Int {
	var p [16]byte
	_, _ = rand.Read(p[:]) // never fails
	p[0] = p[0]&0x7f | 1   // positive and not zero, as RFC 5280 wants it
	return new(big.Int).SetBytes(p[:])
}

// replaceFile writes a file whole or not at all.
func replaceFile(name string, p []byte, mode os.FileMode) error {
	_ = os.Remove(name + ".new") // one that was left behind would keep its mode
	if err := os.WriteFile(name+".new", p, mode); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
