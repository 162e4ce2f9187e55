// Writes vectors with Go's own programs: `go run . DIRECTORY`; a file that is there is never touched.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/golang/snappy"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"gocloud.dev/secrets"
	_ "gocloud.dev/secrets/localsecrets"
	"google.golang.org/protobuf/proto"
)

type vector struct {
	Name      string  `json:"name"`
	KeyID     string  `json:"keyId,omitempty"`
	Secret    []byte  `json:"secret,omitempty"`
	Plaintext []byte  `json:"plaintext"`
	Payload   payload `json:"payload"`
}

type payload struct {
	Metadata map[string][]byte `json:"metadata"`
	Data     []byte            `json:"data"`
}

// The values whose payloads are written, as sdk-go's own converter makes them.
func plaintexts() map[string]*commonpb.Payload {
	values := map[string]any{
		"a string":        "Hello, Temporal",
		"bytes":           []byte{0, 1, 254, 255},
		"nothing":         nil,
		"a larger object": map[string]string{"lines": strings.Repeat("the same line again\n", 200)},
	}
	made := map[string]*commonpb.Payload{}
	for name, value := range values {
		made[name] = must(converter.GetDefaultDataConverter().ToPayload(value))
	}
	return made
}

func main() {
	names := []string{"a string", "bytes", "nothing", "a larger object"}
	values := plaintexts()
	var zlibs, statics, proxies []vector
	for _, name := range names {
		value := values[name]
		zlibs = append(zlibs, compressed(name, value)...)
		statics = append(statics, static(name, value))
		proxies = append(proxies, proxied(name, value))
	}
	write("compression.go.json", "sdk-go v1.50.0 converter.NewZlibCodec; "+runtime.Version()+" compress/gzip; github.com/golang/snappy v1.0.0", zlibs)
	write("static-key.go.json", "the shape of samples-go's encryption codec, with sdk-go v1.50.0 and "+runtime.Version()+" crypto/cipher", statics)
	write("temporal-proxy.go.json", "temporal-proxy's format from its published description, with the keeper that it uses, gocloud.dev v0.47.0 secrets/localsecrets, and "+runtime.Version()+" crypto/cipher", proxies)
}

func compressed(name string, value *commonpb.Payload) []vector {
	codec := converter.NewZlibCodec(converter.ZlibCodecOptions{AlwaysEncode: true})
	zlibbed := must(codec.Encode([]*commonpb.Payload{value}))[0]
	plaintext := marshal(value)
	var gzipped bytes.Buffer
	writer := gzip.NewWriter(&gzipped)
	must(writer.Write(plaintext))
	check(writer.Close())
	return []vector{
		{Name: name + ", zlib", Plaintext: plaintext, Payload: payload{zlibbed.Metadata, zlibbed.Data}},
		{Name: name + ", gzip", Plaintext: plaintext, Payload: payload{encoding("binary/gzip"), gzipped.Bytes()}},
		{Name: name + ", snappy block", Plaintext: plaintext, Payload: payload{encoding("binary/snappy"), snappy.Encode(nil, plaintext)}},
	}
}

// The sample: nonce, ciphertext and tag under a key found by its id.
func static(name string, value *commonpb.Payload) vector {
	key := random(32)
	metadata := encoding("binary/encrypted")
	metadata["encryption-key-id"] = []byte("team-key-1")
	return vector{name, "team-key-1", key, marshal(value), payload{metadata, seal(key, marshal(value))}}
}

// A data key of its own, wrapped by the keeper that the URI names.
func proxied(name string, value *commonpb.Payload) vector {
	uri := "base64key://" + base64.URLEncoding.EncodeToString(random(32))
	keeper := must(secrets.OpenKeeper(context.Background(), uri))
	defer keeper.Close()
	dataKey := random(32)
	wrapped := must(keeper.Encrypt(context.Background(), dataKey))
	metadata := encoding("binary/encrypted")
	metadata["encryption-key-id"] = []byte(uri)
	metadata["encryption-dek"] = []byte(base64.StdEncoding.EncodeToString(wrapped))
	return vector{name, uri, nil, marshal(value), payload{metadata, seal(dataKey, marshal(value))}}
}

func encoding(name string) map[string][]byte {
	return map[string][]byte{"encoding": []byte(name)}
}

func seal(key, plaintext []byte) []byte {
	gcm := must(cipher.NewGCM(must(aes.NewCipher(key))))
	nonce := random(gcm.NonceSize())
	return gcm.Seal(nonce, nonce, plaintext, nil)
}

func marshal(value *commonpb.Payload) []byte {
	return must(proto.MarshalOptions{Deterministic: true}.Marshal(value))
}

func random(size int) []byte {
	made := make([]byte, size)
	must(rand.Read(made))
	return made
}

func write(file, origin string, cases []vector) {
	path := filepath.Join(os.Args[1], file)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		log.Printf("%s is there already; vectors are only ever added", file)
		return
	}
	text := must(json.MarshalIndent(map[string]any{"origin": origin, "cases": cases}, "", "  "))
	check(os.WriteFile(path, append(text, '\n'), 0o644))
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
