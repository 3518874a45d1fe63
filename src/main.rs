//! The program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    helm_release_operator::cli::main(std::env::args_os())
}
