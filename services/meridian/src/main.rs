//! The Meridian binary.

use std::process::ExitCode;

use clap::Parser;

/// glibc's allocator took a tenth of an order's time, most of it between threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = meridian::Cli::parse();
    // One TLS provider for everything in the process.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return fail("another TLS provider is installed already");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    match runtime.block_on(meridian::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{error:#}")),
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a program that failed")]
fn fail(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::FAILURE
}
