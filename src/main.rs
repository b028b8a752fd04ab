//! The program: parse, call, exit code. No logic lives here.

use std::process::ExitCode;

use sessiond::cli;

fn main() -> ExitCode {
    // TLS towards Redis needs one provider of cryptography for the whole process. The call fails only if one is already
    // installed, and that one serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::run()
}
