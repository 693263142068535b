//! The table of handles, attacked: freed, stale, foreign, forged and invented handles, and many threads.

use super::*;

struct Apple(u32);
struct Pear;
struct C;

impl Noun for Apple {
    type C = C;
    const KIND: Kind = Kind::Wallet;
    const NAME: &'static str = "apple";
}

impl Noun for Pear {
    type C = C;
    const KIND: Kind = Kind::Policy;
    const NAME: &'static str = "pear";
}

fn status<N: Noun>(handle: *const N::C) -> Status {
    get::<N>(handle).err().map_or(Status::Ok, |error| error.status)
}

#[test]
fn a_handle_names_its_object_until_it_is_freed() {
    let handle = insert(Apple(7)).unwrap();
    assert_eq!(get::<Apple>(handle).unwrap().0, 7);
    remove::<Apple>(handle);
    assert_eq!(status::<Apple>(handle), Status::Handle);
    remove::<Apple>(handle);
    remove::<Apple>(std::ptr::null_mut());
    assert_eq!(status::<Apple>(std::ptr::null()), Status::Handle);
}

#[test]
fn a_stale_handle_is_refused_after_its_slot_was_taken_again() {
    let stale = insert(Apple(0)).unwrap();
    remove::<Apple>(stale);
    let index = Value::of(stale).index;
    // Round-robin over the shards, last freed first taken: the slot comes up again within a few rounds.
    let mut taken = Vec::new();
    while !taken.iter().any(|handle: &*mut C| Value::of(*handle).index == index) {
        assert!(taken.len() < 100_000, "the slot was never used again");
        taken.push(insert(Apple(1)).unwrap());
    }
    assert_eq!(status::<Apple>(stale), Status::Handle);
    taken.into_iter().for_each(remove::<Apple>);
}

#[test]
fn another_kind_is_refused_even_at_the_same_place() {
    let apple = insert(Apple(1)).unwrap();
    assert_eq!(status::<Pear>(apple), Status::Handle);
    remove::<Pear>(apple);
    // A forged pear with the apple's own index and generation.
    let forged = Value { kind: Kind::Policy as usize, ..Value::of(apple) }.handle::<C>();
    assert_eq!(status::<Pear>(forged), Status::Handle);
    remove::<Pear>(forged);
    assert_eq!(get::<Apple>(apple).unwrap().0, 1, "the apple is still there");
    remove::<Apple>(apple);
}

#[test]
fn no_number_is_ever_followed_as_an_address() {
    let on_the_stack = 5u64;
    let numbers = [1, 8, 4096, usize::MAX, usize::MAX / 2, (&raw const on_the_stack).addr(), 3 << 48, 2 << 48];
    for number in numbers {
        let handle = std::ptr::without_provenance::<C>(number);
        // Slot 0 of the wallets' kind may be alive through another test; every other number must be refused.
        if number != 2 << 48 {
            assert_eq!(status::<Apple>(handle), Status::Handle, "{number:#x}");
        }
        assert_eq!(status::<Pear>(handle), Status::Handle, "{number:#x}");
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn values_are_above_every_address_and_exact_in_a_double() {
    for kind in [Kind::Error, Kind::Payment] {
        for (generation, index) in [(0, 0), (GENERATION_MAX, INDEX_MAX)] {
            let value = Value { kind: kind as usize, generation, index };
            let bits = value.handle::<C>().addr();
            assert!((1 << 48..1 << 53).contains(&bits), "{bits:#x}");
            assert_eq!(bits as f64 as usize, bits);
            assert_eq!(Value::of(value.handle::<C>()), value);
        }
    }
}

#[test]
fn what_is_in_use_outlives_its_handle() {
    let handle = insert(Apple(9)).unwrap();
    let used = get::<Apple>(handle).unwrap();
    remove::<Apple>(handle);
    assert_eq!(used.0, 9);
}

#[test]
fn a_lent_handle_ends_with_its_owner() {
    let lent = Lent::new(Arc::new(Apple(3))).unwrap();
    let handle = lent.handle();
    assert_eq!(get::<Apple>(handle).unwrap().0, 3);
    drop(lent);
    assert_eq!(status::<Apple>(handle), Status::Handle);
}

#[test]
fn threads_make_use_and_free_handles_at_once() {
    let shared = insert(Apple(42)).unwrap().addr();
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            scope.spawn(move || {
                for round in 0..2000u32 {
                    let own = insert(Apple(thread * 10_000 + round)).unwrap();
                    assert_eq!(get::<Apple>(own).unwrap().0, thread * 10_000 + round);
                    assert_eq!(get::<Apple>(std::ptr::without_provenance(shared)).unwrap().0, 42);
                    remove::<Apple>(own);
                    assert_eq!(status::<Apple>(own), Status::Handle);
                }
            });
        }
    });
    remove::<Apple>(std::ptr::without_provenance_mut(shared));
}

#[test]
fn a_second_user_is_told_busy_and_a_defect_is_remembered() {
    let cell = Exclusive::new(1);
    let first = cell.take("request").unwrap();
    assert_eq!(cell.take("request").err().map(|error| error.status), Some(Status::Busy));
    drop(first);
    assert!(cell.take("request").is_ok());
    let defect = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _held = cell.take("request");
        std::panic::resume_unwind(Box::new("a defect"));
    }));
    assert!(defect.is_err());
    assert_eq!(cell.take("request").err().map(|error| error.status), Some(Status::Panic));
}

/// The price of a lookup, printed, not asserted: `cargo test --release -- --ignored lookup_price --nocapture`.
#[test]
#[ignore = "a measurement"]
fn lookup_price() {
    const LOOKUPS: u32 = 2_000_000;
    let handle = insert(Apple(1)).unwrap();
    let started = std::time::Instant::now();
    let mut sum = 0u64;
    for _ in 0..LOOKUPS {
        sum += u64::from(get::<Apple>(std::hint::black_box(handle)).unwrap().0);
    }
    println!("one thread: {:?} a lookup", started.elapsed() / LOOKUPS);
    assert_eq!(sum, u64::from(LOOKUPS));
    let own: Vec<usize> = (0..2).map(|_| insert(Apple(1)).unwrap().addr()).collect();
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        for &address in &own {
            scope.spawn(move || {
                for _ in 0..LOOKUPS {
                    let handle = std::ptr::without_provenance(std::hint::black_box(address));
                    std::hint::black_box(get::<Apple>(handle).unwrap().0);
                }
            });
        }
    });
    println!("two threads, a handle each: {:?} a lookup", started.elapsed() / LOOKUPS);
    remove::<Apple>(handle);
    own.into_iter().for_each(|address| remove::<Apple>(std::ptr::without_provenance_mut(address)));
}
