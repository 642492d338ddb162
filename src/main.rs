//! The `doorward` binary.

/// A state of a million users is as many small allocations, most of which one thread makes and another one frees. The
/// system's allocator takes twice as long for those (DESIGN.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    doorward::cli::main()
}
