//! Dead letters: kept, found, sent again, thrown away.

use super::*;
use crate::bus::{RedriveError, Redriven};

fn of(plugin: &str, handler: &str) -> Option<HandlerName> {
    Some(HandlerName::of_plugin(plugin, handler))
}

/// D4: the letters that a filter means are the same in the store as by the filter itself; names are no patterns.
#[tokio::test]
async fn d4_a_filter_means_the_same_letters_everywhere() {
    let (_directory, store) = empty();
    let half = at(20) + Duration::from_nanos(1_500_000);
    let names = [
        of("p", "a"),
        of("p", "b"),
        of("pp", "a"),
        of("p%", "a"),
        of("p_", "a"),
        of("P", "a"),
        of("p0", "a"),
        of("p.", "a"),
    ];
    let natives = ["p", "q", "p0", "it's"].map(|name| Some(HandlerName::native(name)));
    let times = [at(10), half, at(30)];
    for (n, handler) in names.into_iter().chain(natives).chain([None]).enumerate() {
        let letter = DeadLetter {
            reason: [DeadLetterReason::HopLimit, DeadLetterReason::Failed(Class::Timeout)][n % 2],
            ..letter(&n.to_string(), handler, times[n % 3])
        };
        DeadLetterStore::put(&store, letter).await.unwrap();
    }
    let all = letters(&store, &DeadLetterFilter::all()).await;
    assert_eq!(all.len(), 13);
    let mut filters: Vec<_> = ["p", "p/a", "p%", "p_", "P", "p/", "p0", "%", "it's", "", "p/a/", "/"]
        .map(|name| DeadLetterFilter::all().handler(name))
        .into();
    filters.extend(
        [at(10), half, at(20), at(30), half + Duration::from_nanos(1)].map(|time| DeadLetterFilter::all().since(time)),
    );
    filters
        .extend([at(10), half, at(30), half + Duration::from_nanos(1)].map(|time| DeadLetterFilter::all().until(time)));
    filters.push(
        DeadLetterFilter::all()
            .reason(DeadLetterReason::HopLimit)
            .handler("p")
            .since(at(10))
            .until(at(30)),
    );
    for filter in filters {
        let expected: Vec<_> = all
            .iter()
            .filter(|letter| filter.matches(letter))
            .map(|letter| letter.id)
            .collect();
        let found: Vec<_> = letters(&store, &filter).await.iter().map(|letter| letter.id).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    assert_eq!(store.purge(&DeadLetterFilter::all().handler("p")).await.unwrap(), 3);
    assert_eq!(store.purge(&DeadLetterFilter::all()).await.unwrap(), 10);
    assert_eq!(letter_ids(&store).await.len(), 0);
}

/// D4: letters are listed page by page, shown and taken one by one, and no id comes twice.
#[tokio::test]
async fn d4_letters_are_listed_shown_and_taken() {
    let (_directory, store) = empty();
    let mut put = Vec::new();
    for id in ["1", "2", "3"] {
        put.push(store.put(letter(id, None, at(9))).await.unwrap());
    }
    let page = store.list(&DeadLetterFilter::all(), Some(put[0]), 1).await.unwrap();
    assert_eq!(page.iter().map(|letter| letter.id).collect::<Vec<_>>(), [put[1]]);
    assert_eq!(
        DeadLetterStore::get(&store, put[2]).await.unwrap().unwrap().event.id(),
        "3"
    );
    assert_eq!(store.take(put[2]).await.unwrap().unwrap().event.id(), "3");
    assert!(store.take(put[2]).await.unwrap().is_none());
    assert!(
        DeadLetterStore::get(&store, DeadLetterId(u64::MAX))
            .await
            .unwrap()
            .is_none()
    );
    assert!(store.put(letter("4", None, at(9))).await.unwrap() > put[2]);
}

/// D4: a letter that is sent again is a delivery of the same event to that handler alone, past the deduplication; one
/// without a handler stays where it is.
#[tokio::test]
async fn d4_a_letter_is_sent_again_past_the_deduplication() {
    let (_directory, store) = empty();
    let id = only(&append(&store, "1", &["p/a"]).await);
    conclude(&store, id, Verdict::Dead(Box::new(letter("1", of("p", "a"), at(9))))).await;
    let dead = letters(&store, &DeadLetterFilter::all()).await[0].id;
    let told = Arc::new(std::sync::Mutex::new(None));
    let hears = told.clone();
    let then = move |sent: &Result<Option<crate::delivery::StoredDelivery>, StoreError>| {
        *hears.lock().unwrap() = sent.as_ref().unwrap().as_ref().map(|sent| sent.id);
    };
    let sent = DeliveryStore::redrive(&store, dead, HOUR, Box::new(then))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((sent.event.id(), sent.attempts, sent.replayed), ("1", 0, true));
    assert_eq!(*told.lock().unwrap(), Some(sent.id));
    let page = load(&store, "p/a").await;
    assert_eq!(format!("{:?}", page.deliveries), format!("{:?}", [sent]));
    assert_eq!(letter_ids(&store).await.len(), 0);
    let again = DeliveryStore::redrive(&store, dead, HOUR, Box::new(|_| ()))
        .await
        .unwrap();
    assert!(again.is_none());
    let stopped = store.put(letter("2", None, at(9))).await.unwrap();
    let refused = DeliveryStore::redrive(&store, stopped, HOUR, Box::new(|_| ()))
        .await
        .unwrap();
    assert!(refused.is_none());
    assert_eq!(letter_ids(&store).await, ["2"]);
}

/// D4: letters are sent again where no runtime has the store, all that are meant; those that can't be are named.
#[tokio::test]
async fn d4_letters_are_sent_again_without_a_runtime() {
    let (directory, store) = empty();
    for n in 0..150 {
        store.put(letter(&n.to_string(), of("p", "a"), at(9))).await.unwrap();
    }
    let stopped = store.put(letter("stopped", None, at(9))).await.unwrap();
    let single = store.put(letter("single", of("q", "a"), at(9))).await.unwrap();
    store.redrive(single).await.unwrap();
    assert!(matches!(store.redrive(single).await, Err(RedriveError::NotFound(id)) if id == single));
    assert!(matches!(store.redrive(stopped).await, Err(RedriveError::Undeliverable(id)) if id == stopped));
    let Redriven { sent, refused, .. } = store.redrive_all(&DeadLetterFilter::all()).await.unwrap();
    assert_eq!((sent, refused.len(), refused[0].0), (150, 1, stopped));
    drop(store);
    let store = open(&directory);
    assert_eq!(
        (ids(&store, "p/a").await.len(), ids(&store, "q/a").await),
        (150, vec!["single".to_owned()])
    );
    assert_eq!(letter_ids(&store).await, ["stopped"]);
}

/// D4, H46: a letter whose event is damaged hides no other; it is not sent again, and can be thrown away.
#[tokio::test]
async fn d4_h46_a_damaged_letter_hides_no_other() {
    let (directory, store) = empty();
    let bad = store.put(letter("bad-one", of("p", "a"), at(9))).await.unwrap();
    store.put(letter("good", of("p", "a"), at(9))).await.unwrap();
    drop(store);
    super::damage::flip(&directory.path().join("palisade.db"), b"bad-one");
    let store = open(&directory);
    assert_eq!(letter_ids(&store).await, ["good"]);
    for error in [
        DeadLetterStore::get(&store, bad).await.err(),
        store.take(bad).await.err(),
    ] {
        let DeadLetterError(words) = error.unwrap();
        assert!(words.contains("dead letter 1 is damaged"), "{words}");
    }
    let Redriven { sent, refused, .. } = store.redrive_all(&DeadLetterFilter::all()).await.unwrap();
    assert!(
        matches!(refused.as_slice(), [(id, RedriveError::Store(_))] if *id == bad),
        "{refused:?}"
    );
    assert_eq!(sent, 1);
    assert_eq!(store.purge(&DeadLetterFilter::all()).await.unwrap(), 1);
}
