//! The `doorward` binary.

fn main() -> std::process::ExitCode {
    doorward::cli::main()
}
