//! Images: a whole state in chunks, made once for all watchers of a scope that begin at about the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::encoded::Encoded;
use super::reader::Head;
use super::seal::Seal;
use super::window::Window;
use crate::clock::Clock;
use crate::model::moment::Moment;
use crate::model::revision::Revision;
use crate::model::scope::Scope;
use crate::model::state::State;
use crate::proto::doorward as pb;
use crate::proto::doorward::watch_response::Event;
use crate::proto::object::chunks;
use crate::store::api::Store;

/// Bytes of objects in a chunk, about; a single object may be larger.
const CHUNK_BYTES: usize = 512 * 1024;
/// Images at once: a whole state in memory each. Who comes when there are so many is told alone.
const IMAGES: usize = 8;
/// Watchers at once that are told alone because they were too slow for an image: two chunks in memory each.
const SLOW: usize = 64;
/// How long an image is kept for a watcher that does not read it.
const LIFE: Duration = Duration::from_mins(5);

/// The images of a store.
pub(super) struct Images {
    store: Arc<dyn Store>,
    clock: Clock,
    seal: Seal,
    /// Those that somebody reads.
    live: Mutex<HashMap<Arc<Scope>, Weak<Image>>>,
    places: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

/// How a watcher is told a whole state.
pub(super) enum Telling {
    /// With others, from an image; the number of the next chunk.
    Shared(Arc<Image>, usize),
    /// Alone: each chunk is made when there is room for it, and kept by nobody.
    Alone(Origin, mpsc::Receiver<Encoded>),
}

/// What a whole state is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) revision: Revision,
    /// When it was known to be no older than the store's newest.
    pub(super) fresh: Moment,
}

/// A whole state in chunks.
pub(super) struct Image {
    origin: Origin,
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

/// A part of a whole state.
pub(super) enum Part {
    /// The chunk.
    Chunk(Encoded),
    /// There is no more.
    End,
    /// The image is gone: begin anew.
    Gone,
}

// === impl Images ===

impl Images {
    pub(super) fn new(store: Arc<dyn Store>, clock: Clock, seal: Seal) -> Self {
        Self {
            store,
            clock,
            seal,
            live: Mutex::default(),
            places: Arc::new(Semaphore::new(IMAGES)),
            slow: Arc::new(Semaphore::new(SLOW)),
        }
    }

    /// A telling of a scope from which the window leads on: from an image that others read, from a new one of the head, or
    /// alone. Nobody waits for a place that a slow watcher holds.
    pub(super) fn of(&self, scope: &Arc<Scope>, window: &Window) -> Telling {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let known = live.get(scope).and_then(Weak::upgrade);
        if let Some(image) = known.filter(|image| window.reaches(image.origin.revision, scope) && !image.is_gone()) {
            return Telling::Shared(image, 0);
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return self.alone(scope, None) };
        let image = Image::begin(&self.head(), Arc::clone(scope), self.seal.clone(), place);
        live.retain(|_, image| image.strong_count() > 0);
        live.insert(Arc::clone(scope), Arc::downgrade(&image));
        Telling::Shared(image, 0)
    }

    /// The same for a watcher that was too slow for an image: at its own pace, unless there are many like it.
    pub(super) fn of_slow(&self, scope: &Arc<Scope>, window: &Window) -> Telling {
        match Arc::clone(&self.slow).try_acquire_owned() {
            Ok(place) => self.alone(scope, Some(place)),
            Err(_) => self.of(scope, window),
        }
    }

    fn alone(&self, scope: &Arc<Scope>, place: Option<OwnedSemaphorePermit>) -> Telling {
        alone(&self.head(), Arc::clone(scope), self.seal.clone(), place)
    }

    fn head(&self) -> Head {
        Head::of(&*self.store, &self.clock)
    }
}

// === impl Origin ===

impl Origin {
    fn of(head: &Head) -> Self {
        Self { revision: head.state.revision, fresh: head.fresh }
    }
}

// === impl Telling ===

impl Telling {
    /// What the state is of.
    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::Shared(image, _) => image.origin,
            Self::Alone(origin, _) => *origin,
        }
    }

    /// The next part.
    pub(super) async fn next(&mut self) -> Part {
        match self {
            Self::Shared(image, next) => {
                let part = image.part(*next).await;
                *next += 1;
                part
            }
            Self::Alone(_, chunks) => chunks.recv().await.map_or(Part::End, Part::Chunk),
        }
    }
}

/// Tells one watcher at its own pace; it ends when the watcher is gone.
fn alone(head: &Head, scope: Arc<Scope>, seal: Seal, place: Option<OwnedSemaphorePermit>) -> Telling {
    let (out, told) = mpsc::channel(1);
    let (state, origin) = (Arc::clone(&head.state), Origin::of(head));
    tokio::spawn(async move {
        let _place = place;
        let mut chunks = encoded(&state, &scope, &seal);
        // None is made before there is room for it.
        while let Ok(room) = out.reserve().await {
            let Some(chunk) = chunks.next() else { return };
            room.send(chunk);
        }
    });
    Telling::Alone(origin, told)
}

/// The chunks of a state as a scope sees it.
fn encoded<'s>(state: &'s State, scope: &'s Scope, seal: &Seal) -> impl Iterator<Item = Encoded> + use<'s> {
    let cover = seal.cover(state.revision, scope, scope.digest(state.sums()));
    chunks(scope.records(state), cover, CHUNK_BYTES).map(|chunk: pb::Reset| Encoded::of(Event::Reset(chunk)))
}

// === impl Image ===

impl Image {
    fn begin(head: &Head, scope: Arc<Scope>, seal: Seal, place: OwnedSemaphorePermit) -> Arc<Self> {
        let (state, origin) = (Arc::clone(&head.state), Origin::of(head));
        let progress = watch::Sender::new(Progress::Made(0));
        let image = Arc::new(Self { origin, chunks: RwLock::default(), progress, _place: place });
        let (writer, kept) = (Arc::downgrade(&image), Arc::downgrade(&image));
        tokio::task::spawn_blocking(move || write(&writer, encoded(&state, &scope, &seal)));
        tokio::spawn(async move {
            tokio::time::sleep(LIFE).await;
            if let Some(image) = kept.upgrade() {
                image.give_up();
            }
        });
        image
    }

    /// The chunk of this number, once it is made.
    async fn part(&self, number: usize) -> Part {
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
        self.advance(Progress::Made(chunks.len()));
    }

    /// Moves on, unless it was given up.
    fn advance(&self, to: Progress) {
        self.progress.send_if_modified(|progress| {
            let goes_on = *progress != Progress::GivenUp;
            if goes_on {
                *progress = to;
            }
            goes_on
        });
    }

    fn give_up(&self) {
        let mut chunks = self.chunks.write().unwrap_or_else(PoisonError::into_inner);
        self.progress.send_replace(Progress::GivenUp);
        chunks.clear();
    }

    fn is_gone(&self) -> bool {
        *self.progress.borrow() == Progress::GivenUp
    }
}

/// Writes the chunks of an image for as long as somebody reads it.
fn write(image: &Weak<Image>, chunks: impl Iterator<Item = Encoded>) {
    let writing = Writing(image);
    for chunk in chunks {
        let Some(image) = image.upgrade().filter(|image| !image.is_gone()) else { return };
        image.push(chunk);
    }
    if let Some(image) = image.upgrade() {
        image.advance(Progress::Done);
    }
    drop(writing);
}

/// However the writing ends, nobody waits for a chunk that does not come.
struct Writing<'i>(&'i Weak<Image>);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if let Some(image) = self.0.upgrade()
            && *image.progress.borrow() != Progress::Done
        {
            image.give_up();
        }
    }
}

#[cfg(test)]
mod tests;
