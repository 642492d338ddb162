//! Medians and percentiles of samples.

/// The middle one.
pub(crate) fn median(samples: Vec<f64>) -> f64 {
    percentile(samples, 50.0)
}

/// The smallest that as many in a hundred do not exceed.
pub(crate) fn percentile(mut samples: Vec<f64>, share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let place = (samples.len() as f64 * share / 100.0).ceil() as usize;
    samples[place.clamp(1, samples.len()) - 1]
}
