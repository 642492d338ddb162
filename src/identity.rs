//! Who is calling. Pure: credentials and the clock are passed in.

pub mod credential;
