//! The list of all clauses, and the macro that makes tests of it.

/// Tests a store against the contract of the store traits; see
/// [`store::conformance`](crate::store::conformance). The tests stand in the module that calls this;
/// a second store needs a module of its own.
#[macro_export]
macro_rules! conformance {
    ($($group:ident: $fresh:expr),+ $(,)?) => {
        $($crate::__conformance_clauses!($group tests $fresh);)+
    };
    ($fresh:expr) => {
        $crate::conformance! { keys: $fresh, tenants: $fresh, usage: $fresh }
    };
}

/// Hands the clauses of a group on, with what is to become of them.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_clauses {
    (keys $($what:tt)*) => {
        $crate::__conformance_each! {
            $($what)*;
            finding::an_unknown_digest_is_none,
            finding::an_inserted_key_is_found_by_digest_and_by_id,
            finding::who_asks_again_is_answered_with_what_is,
            finding::every_field_comes_back,
            finding::what_is_absent_stays_absent,
            finding::texts_come_back_as_they_were,
            finding::times_come_back_to_the_nanosecond,
            finding::names_are_compared_exactly,
            writing::an_id_is_inserted_once,
            writing::a_digest_is_inserted_once,
            writing::of_concurrent_inserts_of_an_id_one_succeeds,
            writing::of_concurrent_inserts_of_a_digest_one_succeeds,
            writing::a_replaced_key_is_of_the_next_revision,
            writing::replace_refuses_what_was_changed_meanwhile,
            writing::replace_refuses_a_key_that_is_gone,
            writing::replace_refuses_the_digest_of_another_key,
            writing::a_key_can_move_to_another_digest,
            writing::concurrent_updates_lose_nothing,
            writing::a_deleted_key_is_gone_from_everywhere,
            writing::a_deleted_key_may_come_again,
            writing::a_tenant_changes_only_its_own_keys,
            committing::a_commit_makes_all_its_changes,
            committing::a_conflict_leaves_nothing_of_a_commit,
            committing::changes_are_made_in_their_order,
            committing::a_digest_that_is_freed_can_be_given_on,
            committing::a_key_can_move_to_another_tenant,
            committing::an_empty_commit_is_no_conflict,
            committing::of_concurrent_rotations_one_is_made,
            committing::concurrent_commits_of_many_changes_all_end,
            listing::keys_are_listed_in_order_of_issue,
            listing::a_change_keeps_the_place_in_the_listing,
            listing::filters_choose_by_environment_and_use,
            listing::pages_cut_the_listing,
            listing::a_page_beyond_the_end_is_empty_and_knows_the_total,
            listing::a_tenant_sees_only_its_own_keys,
            telling::events_come_back_newest_first,
            telling::events_are_paged,
            telling::a_tenant_sees_only_its_own_events,
            telling::a_change_of_a_tenant_names_no_key,
            tenants::a_tenants_change_reaches_its_keys,
            tenants::a_suspended_tenant_gets_no_key_that_works,
            tenants::an_insert_races_no_suspension_away,
        }
    };
    (tenants $($what:tt)*) => {
        $crate::__conformance_each! {
            $($what)*;
            tenants::an_unknown_tenant_is_none,
            tenants::a_tenant_is_known_as_it_was_put,
            tenants::a_tenant_that_came_with_a_key_is_known,
            tenants::tenants_names_are_compared_exactly,
        }
    };
    (usage $($what:tt)*) => {
        $crate::__conformance_each! {
            $($what)*;
            usage::a_key_that_was_not_used_has_no_usage,
            usage::uses_are_summed_by_key_month_and_endpoint,
            usage::months_are_told_apart_to_the_nanosecond,
            usage::the_last_use_only_moves_forward,
            usage::a_batch_without_uses_changes_nothing,
            usage::counts_never_wrap,
            usage::concurrent_batches_lose_nothing,
        }
    };
    (outage $($what:tt)*) => {
        $crate::__conformance_each! {
            $($what)*;
            outage::find_says_that_the_store_is_unavailable,
            outage::get_says_that_the_store_is_unavailable,
            outage::list_says_that_the_store_is_unavailable,
            outage::commit_says_that_the_store_is_unavailable,
            outage::events_says_that_the_store_is_unavailable,
        }
    };
}

/// Makes tests of clauses, or a list.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_each {
    (tests $fresh:expr; $($module:ident::$clause:ident,)*) => {
        $(
            #[test]
            fn $clause() {
                let clause = $crate::store::conformance::$module::$clause;
                $crate::store::conformance::check(async { $fresh }, clause);
            }
        )*
    };
    (list $fresh:ident; $($module:ident::$clause:ident,)*) => {
        vec![$({
            let fresh = $fresh.clone();
            let name = stringify!($clause);
            Clause::new(name, move || check(fresh(), super::$module::$clause))
        },)*]
    };
}
