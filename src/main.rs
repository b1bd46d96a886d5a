//! Parses the command line, runs one command, and maps its outcome to an exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command_line = match vigie::cli::CommandLine::read() {
        Ok(command_line) => command_line,
        Err(code) => return code,
    };
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(command_line.run()),
        Err(error) => vigie::cli::cannot_start(&error),
    }
}
