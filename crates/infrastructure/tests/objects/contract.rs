//! What `ObjectStore` promises.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use repartee_application::ports::{ByteStream, ObjectStore, PortError, Source};
use repartee_domain::ObjectKey;
use uuid::Uuid;

/// Makes a test of each promise, of a store that `$store` gives with what it needs to live.
macro_rules! keeps_the_contract {
    ($store:path) => {
        $crate::contract::keeps_the_contract!($store =>
            what_is_put_is_there_until_it_is_deleted,
            a_large_object_comes_back_as_it_was,
            an_empty_object_is_one,
            what_ends_in_an_error_is_no_object,
            what_nobody_waits_for_is_no_object,
            what_is_not_there_is_nothing_to_do,
        );
    };
    ($store:path => $($name:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            let (store, _site) = $store().await;
            $crate::contract::$name(&store).await;
        }
    )+};
}
pub(crate) use keeps_the_contract;

pub(crate) const KEY: ObjectKey = ObjectKey::from_uuid(Uuid::from_u128(7));

pub(crate) fn pieces(pieces: Vec<Result<Bytes, &'static str>>) -> ByteStream<'static> {
    stream::iter(pieces).map_err(Source::from).boxed()
}

pub(crate) fn tea() -> ByteStream<'static> {
    pieces(vec![Ok(Bytes::from_static(b"Te")), Ok(Bytes::from_static(b"a"))])
}

pub(crate) async fn read(store: &dyn ObjectStore, key: ObjectKey) -> Option<Vec<u8>> {
    let bytes = store.get(key).await.unwrap()?;
    Some(bytes.try_collect::<Vec<_>>().await.unwrap().concat())
}

pub(crate) async fn what_is_put_is_there_until_it_is_deleted(store: &dyn ObjectStore) {
    let other = ObjectKey::from_uuid(Uuid::from_u128(8));
    store.put(KEY, tea()).await.unwrap();
    store.put(other, pieces(vec![Ok(Bytes::from_static(b"Coffee"))])).await.unwrap();
    assert_eq!(read(store, KEY).await.unwrap(), b"Tea");
    store.delete(KEY).await.unwrap();
    assert_eq!(read(store, KEY).await, None);
    assert_eq!(read(store, other).await.unwrap(), b"Coffee");
}

pub(crate) async fn a_large_object_comes_back_as_it_was(store: &dyn ObjectStore) {
    let piece = |n: u32| Bytes::from(n.to_be_bytes().repeat(16 * 1024));
    let sent = (0..150).map(|n| Ok(piece(n))).collect();
    store.put(KEY, pieces(sent)).await.unwrap();
    let mut whole = read(store, KEY).await.unwrap().into_iter();
    for n in 0..150 {
        assert!(whole.by_ref().take(64 * 1024).eq(piece(n)), "piece {n}");
    }
    assert_eq!(whole.next(), None);
}

pub(crate) async fn an_empty_object_is_one(store: &dyn ObjectStore) {
    store.put(KEY, pieces(vec![])).await.unwrap();
    assert_eq!(read(store, KEY).await.unwrap(), b"");
}

pub(crate) async fn what_ends_in_an_error_is_no_object(store: &dyn ObjectStore) {
    let cut_off = pieces(vec![Ok(Bytes::from_static(b"Te")), Err("cut off")]);
    let refused = store.put(KEY, cut_off).await.unwrap_err();
    assert!(matches!(&refused, PortError::Unavailable(error) if error.to_string() == "cut off"));
    assert_eq!(read(store, KEY).await, None);
    // It is no hindrance either.
    store.put(KEY, tea()).await.unwrap();
    assert_eq!(read(store, KEY).await.unwrap(), b"Tea");
}

pub(crate) async fn what_nobody_waits_for_is_no_object(store: &dyn ObjectStore) {
    let (began, begun) = futures::channel::oneshot::channel();
    let first = stream::once(async move {
        began.send(()).unwrap();
        Ok(Bytes::from_static(b"Te"))
    });
    let endless = first.chain(stream::pending());
    tokio::select! {
        put = store.put(KEY, endless.boxed()) => panic!("{put:?}"),
        begun = begun => begun.unwrap(),
    }
    assert_eq!(read(store, KEY).await, None);
    store.delete(KEY).await.unwrap();
}

pub(crate) async fn what_is_not_there_is_nothing_to_do(store: &dyn ObjectStore) {
    assert_eq!(read(store, KEY).await, None);
    store.delete(KEY).await.unwrap();
}
