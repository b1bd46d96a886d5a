//! The program `vigie`: the command line, on an allocator made for many small blocks of many threads.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    vigie::cli::main()
}
