// Package transforms holds what changes records: WASM modules (wasm), their SDKs (sdk) and native transforms (builtin).
//
// The package itself carries the source of the SDKs, so that an installed leat builds transforms without a network.
package transforms

import "embed"

// The source of the SDKs, under their paths in this folder.
var (
	// GoSDK is the Go SDK and the frame codec that it uses, with their tests.
	//
	//go:embed sdk/go wasm/abi/*.go
	GoSDK embed.FS

	// CSDK is the header for C and C++.
	//
	//go:embed sdk/c/leat.h
	CSDK embed.FS

	// RustSDK is the crate leat-transform.
	//
	//go:embed sdk/rust/Cargo.toml sdk/rust/src
	RustSDK embed.FS

	// AssemblyScriptSDK is the package @leatstream/transform.
	//
	//go:embed sdk/assemblyscript/package.json sdk/assemblyscript/*.ts
	AssemblyScriptSDK embed.FS
)
