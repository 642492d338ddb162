//! Sockets, bound before anything is served.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener, UnixStream};

/// A Unix socket whose file goes when it does.
#[derive(Debug)]
pub struct UnixSocket {
    /// The socket.
    pub listener: UnixListener,
    /// Its file, for as long as the process serves it.
    pub file: SocketFile,
}

/// The file of a Unix socket; removed when dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A TCP address.
    #[error("the {listener} listener cannot use {address}; is something else listening there?")]
    Tcp {
        /// Which listener.
        listener: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A Unix socket.
    #[error("the check listener cannot use the socket `{path}`")]
    Unix {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Listens on a TCP address.
///
/// # Errors
/// [`ListenError::Tcp`].
pub async fn tcp(listener: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError::Tcp { listener, address, source })
}

/// Listens on a Unix socket. A file that a process left behind is taken over; one that is in use, or is no socket, is not.
///
/// # Errors
/// [`ListenError::Unix`].
pub async fn unix(path: &Path) -> Result<UnixSocket, ListenError> {
    let failed = |source| ListenError::Unix { path: path.to_owned(), source };
    if is_left_behind(path).await {
        std::fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    Ok(UnixSocket { listener, file: SocketFile(path.to_owned()) })
}

/// A socket's file that nobody listens to.
async fn is_left_behind(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    is_socket
        && UnixStream::connect(path).await.is_err_and(|problem| problem.kind() == io::ErrorKind::ConnectionRefused)
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A file that is gone already is what was wanted.
        let _ = std::fs::remove_file(&self.0);
    }
}
