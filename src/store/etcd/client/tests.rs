//! Members that say nothing, or cannot be reached.

use super::*;

#[tokio::test]
async fn a_call_ends_in_time_however_many_members_are_silent() {
    let silent = [(); 5].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let urls = silent.each_ref().map(|it| format!("http://{}", it.local_addr().unwrap()));
    let password = tempfile::NamedTempFile::new().unwrap();
    let user = Some(EtcdUser { name: "doorward".to_owned(), password_file: password.path().to_owned() });
    let patience = Duration::from_millis(2_500);
    let client = Client::new(&EtcdConfig { user, patience, ..EtcdConfig::new(urls, "/d/") }).unwrap();

    let begun = Instant::now();
    let (one, other) = tokio::join!(client.range(RangeRequest::default()), client.range(RangeRequest::default()));
    for failed in [one.unwrap_err(), other.unwrap_err()] {
        assert!(matches!(failed.error, EtcdError::Deadline { .. }) && !failed.may_be_done, "{failed:?}");
    }
    // To try all of them takes five seconds.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let order = client.seat.lock().await.order(5);
    assert_eq!(order[..2], [2, 3], "the first two were silent");
}

#[test]
fn members_that_did_not_answer_are_asked_last() {
    let (soon, past) = (Instant::now() + SILENCE, Instant::now());
    let check = |next: usize, silent: &[(usize, Instant)], expected: &[usize]| {
        let mut seat = Seat { next, silent: silent.to_vec(), ..Seat::default() };
        assert_eq!(seat.order(3), expected, "{next} {silent:?}");
    };
    check(0, &[], &[0, 1, 2]);
    check(5, &[], &[2, 0, 1]);
    check(1, &[(1, soon)], &[2, 0, 1]);
    check(1, &[(1, past)], &[1, 2, 0]);
    check(0, &[(0, soon), (1, soon)], &[2, 0, 1]);
    check(2, &[(0, soon), (1, soon), (2, soon)], &[2, 0, 1]);
}

#[tokio::test]
async fn a_member_that_cannot_be_reached_is_asked_last_too() {
    // Of a port that nobody listens on.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let urls = [gone, silent.local_addr().unwrap()].map(|address| format!("http://{address}"));
    let patience = Duration::from_millis(200);
    let client = Client::new(&EtcdConfig { patience, ..EtcdConfig::new(urls, "/d/") }).unwrap();
    client.range(RangeRequest::default()).await.unwrap_err();
    let mut seat = client.seat.lock().await;
    assert!(seat.silent.iter().any(|(member, _)| *member == 0), "{:?}", seat.silent);
    seat.next = 0;
    seat.silent.retain(|(member, _)| *member == 0);
    assert_eq!(seat.order(2), [1, 0]);
}
