// Package transforms holds what changes records: WASM modules (wasm), their SDKs (sdk) and native transforms (builtin).
//
// The package itself carries the source of the Go SDK, so that an installed leat builds transforms without a network.
package transforms

import "embed"

// GoSDK is the source of the Go SDK and of the frame codec it uses, under their paths in this folder. It includes their tests.
//
//go:embed sdk/go/*.go wasm/abi/*.go
var GoSDK embed.FS
