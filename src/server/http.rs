//! The metrics listener: `/metrics`, `/livez`, `/readyz`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::shutdown::ShutdownSignal;
use crate::services::freshness::Freshness;
use crate::store::api::Store;
use crate::telemetry::metrics::Metrics;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    /// Every series.
    pub metrics: Metrics,
    /// Of the snapshots; `None` in a role that answers no checks: it is ready once it listens.
    pub freshness: Option<Freshness>,
    /// The store, in a role that has one.
    pub store: Option<Arc<dyn Store>>,
    /// A process that drains is not ready.
    pub shutdown: ShutdownSignal,
}

/// Serves the pages until the end.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(listener: TcpListener, pages: Pages) -> std::io::Result<()> {
    let end = pages.shutdown.clone();
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(pages);
    axum::serve(listener, routes).with_graceful_shutdown(end.ended()).await
}

/// `OpenMetrics` for scrapers that say that they read it, and the older format for everybody else.
async fn metrics(State(pages): State<Pages>, headers: HeaderMap) -> impl IntoResponse {
    if let Some(freshness) = &pages.freshness {
        freshness.show_age();
    }
    if let Some(store) = &pages.store {
        pages.metrics.store_staleness(store.staleness());
    }
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (format, text) = if accepted.any(|types| types.contains("application/openmetrics-text")) {
        (OPEN_METRICS, pages.metrics.open_metrics())
    } else {
        (PROMETHEUS, pages.metrics.prometheus())
    };
    ([(header::CONTENT_TYPE, format)], text)
}

async fn ready(State(pages): State<Pages>) -> impl IntoResponse {
    if !pages.shutdown.is_serving() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the process is draining\n".to_owned());
    }
    match pages.freshness.map(|freshness| freshness.ready()) {
        Some(Err(not_ready)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{not_ready}\n")),
        Some(Ok(())) | None => (StatusCode::OK, "ok\n".to_owned()),
    }
}
