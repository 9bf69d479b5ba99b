//! Compiles stock Mbed TLS under our own configuration, and the shim that wraps it.
//!
//! No source of Mbed TLS lives in this repository. It is taken from the registry package named in Cargo.toml under a
//! cfg that is never set, pinned there and checksummed by Cargo.lock; `SHOAL_MBEDTLS_DIR` names another folder. Without
//! network, run `cargo fetch --locked` first.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The package that carries the sources, and the folder inside it.
const PACKAGE: &str = "open62541-sys";
const PACKAGE_FOLDER: &str = "mbedtls";

/// The shim lends buffers to library structures, so every version has to be looked at before it is used.
const VERSION: &str = "3.6.7";

/// What DTLS 1.2 and TLS with pre-shared keys and certificates need; the other files would be compiled to nothing.
const LIBRARY_FILES: [&str; 50] = [
    "aes.c",
    "aesce.c",
    "aesni.c",
    "asn1parse.c",
    "asn1write.c",
    "bignum.c",
    "bignum_core.c",
    "ccm.c",
    "cipher.c",
    "cipher_wrap.c",
    "constant_time.c",
    "ctr_drbg.c",
    "ecdh.c",
    "ecdsa.c",
    "ecp.c",
    "ecp_curves.c",
    "gcm.c",
    "md.c",
    "oid.c",
    "pk.c",
    "pk_ecc.c",
    "pk_wrap.c",
    "pkparse.c",
    "platform_util.c",
    "psa_crypto.c",
    "psa_crypto_aead.c",
    "psa_crypto_cipher.c",
    "psa_crypto_client.c",
    "psa_crypto_driver_wrappers_no_static.c",
    "psa_crypto_ecp.c",
    "psa_crypto_hash.c",
    "psa_crypto_mac.c",
    "psa_crypto_rsa.c", // two functions that nothing calls, and that an optimiser may leave out
    "psa_crypto_slot_management.c",
    "psa_util.c",
    "sha256.c",
    "sha512.c",
    "ssl_ciphersuites.c",
    "ssl_client.c",
    "ssl_msg.c",
    "ssl_tls.c",
    "ssl_tls12_client.c",
    "ssl_tls12_server.c",
    "ssl_tls13_client.c",
    "ssl_tls13_generic.c",
    "ssl_tls13_keys.c",
    "ssl_tls13_server.c",
    "threading.c",
    "x509.c",
    "x509_crt.c",
];

/// Our own files. What is included by others comes with `csrc`.
const SHIM_FILES: [&str; 9] = [
    "shoal_checkpoint.c",
    "shoal_curves.c",
    "shoal_dtls.c",
    "shoal_p256.c",
    "shoal_stock_ecdsa.c",
    "shoal_tickets.c",
    "shoal_tls.c",
    "shoal_x509.c",
    "sha256_x86.c",
];

fn main() {
    // Named one by one: without these lines Cargo would run this script, and the C compiler, after every change.
    println!("cargo:rerun-if-env-changed=SHOAL_MBEDTLS_DIR");
    for path in ["build.rs", "Cargo.toml", "csrc"] {
        println!("cargo:rerun-if-changed={path}");
    }
    let source = env::var_os("SHOAL_MBEDTLS_DIR").map_or_else(registry_source, PathBuf::from);
    check_version(&source.join("include/mbedtls/build_info.h"));

    let mut library = compiler(&source);
    library.files(LIBRARY_FILES.map(|file| source.join("library").join(file))).warnings(false);
    let objects = library.compile_intermediates();
    let mut shim = compiler(&source);
    shim.files(SHIM_FILES.map(|file| Path::new("csrc").join(file)))
        .include(variable("DEP_AWS_LC_0_47_0_INCLUDE"))
        .objects(objects)
        .flag_if_supported("-Wextra")
        .compile("shoalmbedtls");
}

fn compiler(source: &Path) -> cc::Build {
    let mut build = cc::Build::new();
    build
        .include("csrc")
        .include(source.join("include"))
        .include(source.join("library"))
        .define("MBEDTLS_CONFIG_FILE", "\"shoal_mbedtls_config.h\"")
        // Cryptography that was not optimised would make every debug build and test crawl.
        .opt_level(2);
    build
}

/// Where Cargo keeps the sources: asked with the gating cfg set for this one call.
fn registry_source() -> PathBuf {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if !flags.is_empty() {
        flags.push('\x1f');
    }
    flags.push_str("--cfg\x1fshoal_mbedtls_source");
    let output = Command::new(variable("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform"])
        .arg(variable("TARGET"))
        .arg("--manifest-path")
        .arg(&manifest)
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo metadata could not be started");
    assert!(
        output.status.success(),
        "the Mbed TLS sources were not found: run `cargo fetch --locked` once with network, or set SHOAL_MBEDTLS_DIR"
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let package = metadata["packages"]
        .as_array()
        .and_then(|packages| packages.iter().find(|package| package["name"] == PACKAGE))
        .unwrap_or_else(|| panic!("{PACKAGE} is not in Cargo.lock"));
    let manifest = package["manifest_path"].as_str().expect("every package has a manifest");
    Path::new(manifest).with_file_name(PACKAGE_FOLDER)
}

fn check_version(header: &Path) {
    println!("cargo:rerun-if-changed={}", header.display());
    let text = std::fs::read_to_string(header)
        .unwrap_or_else(|error| panic!("no Mbed TLS sources there: {}: {error}", header.display()));
    let found = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("#define MBEDTLS_VERSION_STRING "))
        .map(|version| version.trim().trim_matches('"'));
    assert!(found == Some(VERSION), "Mbed TLS {VERSION} is wanted, {} has {found:?}", header.display());
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("Cargo sets {name}"))
}
