//! Images: a whole state in chunks, made once for all watchers of a scope that begin at about the same time.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};
use tonic::Status;

use super::encoded::Encoded;
use super::seal::Seal;
use super::window::Window;
use crate::model::digest::Digest;
use crate::model::object::{Object, Record};
use crate::model::revision::{Revision, StoreId};
use crate::model::scope::Scope;
use crate::model::state::State;
use crate::proto::doorward as pb;
use crate::proto::doorward::watch_response::Event;
use crate::proto::object::from_record;
use crate::store::api::Store;

/// Bytes of objects in a chunk, about; a single object may be larger.
const CHUNK_BYTES: usize = 512 * 1024;
/// Images at once: a whole state each.
const IMAGES: usize = 8;
/// How long an image is kept for a watcher that does not read it.
const LIFE: Duration = Duration::from_mins(5);

/// The images of a store.
pub(super) struct Images {
    store: Arc<dyn Store>,
    /// Those that somebody reads.
    live: Mutex<HashMap<Arc<Scope>, Weak<Image>>>,
    places: Arc<Semaphore>,
    seal: Seal,
}

/// A whole state in chunks.
pub(super) struct Image {
    /// The revision of the state.
    pub(super) revision: Revision,
    chunks: RwLock<Vec<Encoded>>,
    progress: watch::Sender<Progress>,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Made(usize),
    Done,
    /// Nobody may wait for it any longer.
    GivenUp,
}

/// A chunk of an image.
pub(super) enum Part {
    /// The chunk.
    Chunk(Encoded),
    /// There is no more.
    End,
    /// The image is gone: begin anew.
    Gone,
}

/// What is the same in each chunk of a reset.
struct Cover {
    store: StoreId,
    revision: Revision,
    digest: Digest,
    signature: Vec<u8>,
}

/// Objects that are sent together.
#[derive(Default)]
struct Objects {
    objects: Vec<pb::Object>,
    bytes: usize,
}

// === impl Images ===

impl Images {
    pub(super) fn new(store: Arc<dyn Store>, seal: Seal) -> Self {
        Self { store, live: Mutex::default(), places: Arc::new(Semaphore::new(IMAGES)), seal }
    }

    /// An image of a scope from which the window leads on: one that others read, or a new one of the head.
    pub(super) async fn of(&self, scope: &Arc<Scope>, window: &Window) -> Result<Arc<Image>, Status> {
        let mut live = self.live.lock().await;
        let known = live.get(scope).and_then(Weak::upgrade);
        if let Some(image) = known.filter(|image| window.reaches(image.revision) && !image.is_gone()) {
            return Ok(image);
        }
        // Whoever comes next waits here for the same image, or for a place.
        let closed = |_| Status::unavailable("the control plane ends");
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(closed)?;
        let image = Image::begin((self.store.id(), self.seal.clone()), self.store.state(), Arc::clone(scope), place);
        live.retain(|_, image| image.strong_count() > 0);
        live.insert(Arc::clone(scope), Arc::downgrade(&image));
        Ok(image)
    }
}

// === impl Image ===

impl Image {
    fn begin(of: (StoreId, Seal), state: Arc<State>, scope: Arc<Scope>, place: OwnedSemaphorePermit) -> Arc<Self> {
        let progress = watch::Sender::new(Progress::Made(0));
        let image = Arc::new(Self { revision: state.revision, chunks: RwLock::default(), progress, _place: place });
        let (writer, kept) = (Arc::downgrade(&image), Arc::downgrade(&image));
        tokio::task::spawn_blocking(move || write(&writer, &of, &state, &scope));
        tokio::spawn(async move {
            tokio::time::sleep(LIFE).await;
            if let Some(image) = kept.upgrade() {
                image.give_up();
            }
        });
        image
    }

    /// The chunk of this number, once it is made.
    pub(super) async fn part(&self, number: usize) -> Part {
        let mut progress = self.progress.subscribe();
        let made = progress.wait_for(|progress| !matches!(progress, Progress::Made(count) if *count <= number)).await;
        match made.map(|made| *made) {
            Ok(Progress::Made(_)) => self.chunk(number).map_or(Part::Gone, Part::Chunk),
            Ok(Progress::Done) => self.chunk(number).map_or(Part::End, Part::Chunk),
            Ok(Progress::GivenUp) | Err(_) => Part::Gone,
        }
    }

    fn chunk(&self, number: usize) -> Option<Encoded> {
        self.chunks.read().unwrap_or_else(PoisonError::into_inner).get(number).cloned()
    }

    fn push(&self, chunk: Encoded) {
        let mut chunks = self.chunks.write().unwrap_or_else(PoisonError::into_inner);
        chunks.push(chunk);
        let count = chunks.len();
        drop(chunks);
        self.progress.send_if_modified(|progress| {
            let goes_on = *progress != Progress::GivenUp;
            if goes_on {
                *progress = Progress::Made(count);
            }
            goes_on
        });
    }

    fn give_up(&self) {
        self.progress.send_replace(Progress::GivenUp);
        std::mem::take(&mut *self.chunks.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn is_gone(&self) -> bool {
        *self.progress.borrow() == Progress::GivenUp
    }
}

/// Writes the chunks of an image for as long as somebody reads it.
fn write(image: &Weak<Image>, (store, seal): &(StoreId, Seal), state: &State, scope: &Scope) {
    let (revision, digest) = (state.revision, scope.digest(state.sums()));
    let cover = Cover { store: *store, revision, digest, signature: seal.of(revision, scope, digest) };
    let mut objects = Objects::default();
    let mut first = true;
    for record in scope.records(state) {
        let Some(full) = objects.push(&record) else { continue };
        let Some(image) = image.upgrade().filter(|image| !image.is_gone()) else { return };
        image.push(cover.chunk(full, first, false));
        first = false;
    }
    let Some(image) = image.upgrade() else { return };
    image.push(cover.chunk(objects.objects, first, true));
    image.progress.send_if_modified(|progress| {
        let goes_on = *progress != Progress::GivenUp;
        if goes_on {
            *progress = Progress::Done;
        }
        goes_on
    });
}

// === impl Cover ===

impl Cover {
    fn chunk(&self, objects: Vec<pb::Object>, first: bool, last: bool) -> Encoded {
        Encoded::of(Event::Reset(pb::Reset {
            store_id: self.store.to_string(),
            revision: self.revision.get(),
            first,
            last,
            objects,
            digest: self.digest.as_bytes().to_vec(),
            signature: self.signature.clone(),
        }))
    }
}

// === impl Objects ===

impl Objects {
    /// Takes one more object. Gives back the full chunk before it, if it was full.
    fn push(&mut self, record: &Record<Object>) -> Option<Vec<pb::Object>> {
        let object = from_record(record);
        let bytes = prost::Message::encoded_len(&object);
        let full = !self.objects.is_empty() && self.bytes + bytes > CHUNK_BYTES;
        let before = full.then(|| std::mem::take(self).objects);
        self.objects.push(object);
        self.bytes += bytes;
        before
    }
}
