//! The Meridian binary.

// An optimised build lays the whole shop's future out at once: 130 futures deep.
#![recursion_limit = "256"]

use std::{io::Write as _, process::ExitCode};

use clap::Parser;

/// glibc's allocator took a tenth of an order's time, most of it between threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Address space of a thread's stack, in bytes. In an unoptimised build the Pulsar client alone fills the usual 2 MiB when it
/// looks up a topic.
const STACK: usize = 8 << 20;

fn main() -> ExitCode {
    let cli = meridian::Cli::parse();
    // One TLS provider for everything in the process.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return fail("another TLS provider is installed already");
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime.enable_all().thread_stack_size(STACK).build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    match runtime.block_on(meridian::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            fail(&format!("{error:#}"));
            ExitCode::from(meridian::exit_status(&error))
        }
    }
}

fn fail(message: &str) -> ExitCode {
    // Where nobody can be told, the exit status tells.
    let _ = writeln!(std::io::stderr().lock(), "error: {message}");
    ExitCode::FAILURE
}
