// @generated automatically by Diesel CLI.

diesel::table! {
    alert_sessions (alert_id, session_id) {
        alert_id -> Text,
        session_id -> Text,
    }
}

diesel::table! {
    alerts (id) {
        id -> Text,
        opened_at -> BigInt,
        user_id -> Text,
        risk -> BigInt,
        action -> Text,
        signals -> Text,
        acknowledged_at -> Nullable<BigInt>,
        acknowledged_by -> Nullable<Text>,
    }
}

diesel::table! {
    audit (id) {
        id -> Text,
        at -> BigInt,
        event -> Text,
        actor -> Text,
        user_id -> Nullable<Text>,
        session_id -> Nullable<Text>,
        ip -> Nullable<Text>,
        request_id -> Nullable<Text>,
        detail -> Nullable<Text>,
    }
}

diesel::table! {
    exchanged_tokens (name) {
        name -> Binary,
        expires_at -> BigInt,
    }
}

diesel::table! {
    former_tokens (token_hash) {
        token_hash -> Binary,
        session_id -> Text,
    }
}

diesel::table! {
    issued_keys (name) {
        name -> Binary,
        request -> Binary,
        session_id -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    lineage (id) {
        id -> Integer,
        ledger -> Text,
        name -> Text,
        height -> BigInt,
        ancestors -> Text,
        timeline -> Text,
        watched -> Text,
    }
}

diesel::table! {
    live_store (stamp) {
        stamp -> Binary,
        run_id -> Text,
        replid -> Text,
        database -> BigInt,
        prefix -> Text,
        node -> Text,
        shard -> Text,
        epoch -> BigInt,
        enrolled_at -> BigInt,
        retired_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    node_leases (name) {
        name -> Text,
        round -> BigInt,
        applied -> BigInt,
        copies -> Bool,
        lease_ms -> BigInt,
    }
}

diesel::table! {
    nodes (name) {
        name -> Text,
        settings -> Text,
        beat_at -> BigInt,
    }
}

diesel::table! {
    password_resets (token_hash) {
        token_hash -> Binary,
        user_id -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    service_credentials (id) {
        id -> Text,
        service -> Text,
        secret_hash -> Binary,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    services (name) {
        name -> Text,
        scopes -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    sessions (id) {
        id -> Text,
        user_id -> Text,
        token_hash -> Binary,
        created_at -> BigInt,
        authenticated_at -> BigInt,
        last_seen_at -> BigInt,
        expires_at -> BigInt,
        idle_seconds -> BigInt,
        remember -> Bool,
        sign_in_ip -> Text,
        last_ip -> Text,
        user_agent -> Nullable<Text>,
        data -> Nullable<Text>,
        ended_at -> Nullable<BigInt>,
        end_reason -> Nullable<Text>,
        challenged_at -> Nullable<BigInt>,
        country -> Nullable<Text>,
        city -> Nullable<Text>,
        asn -> Nullable<BigInt>,
        network -> Nullable<Text>,
        latitude -> Nullable<Double>,
        longitude -> Nullable<Double>,
        browser -> Nullable<Text>,
        os -> Nullable<Text>,
        last_ip_key -> Nullable<Binary>,
        risk -> BigInt,
        sign_in_ip_key -> Nullable<Binary>,
        last_country -> Nullable<Text>,
        last_city -> Nullable<Text>,
        last_asn -> Nullable<BigInt>,
        last_network -> Nullable<Text>,
        actor -> Nullable<Text>,
    }
}

diesel::table! {
    pending_invalidations (id) {
        id -> Text,
        token_hash -> Binary,
        session_id -> Text,
        since -> BigInt,
    }
}

diesel::table! {
    user_names (name, user_id) {
        name -> Binary,
        user_id -> Text,
    }
}

diesel::table! {
    users (id) {
        id -> Text,
        email -> Text,
        email_key -> Text,
        name -> Nullable<Text>,
        password_hash -> Text,
        roles -> Text,
        epoch -> BigInt,
        disabled_at -> Nullable<BigInt>,
        created_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
        erased_at -> Nullable<BigInt>,
        subject -> Nullable<Text>,
        claims -> Nullable<Text>,
    }
}

diesel::table! {
    webhook_outbox (id) {
        id -> Text,
        ordering_key -> Text,
        position -> BigInt,
        event -> Text,
        body -> Text,
        created_at -> BigInt,
        next_at -> BigInt,
        attempts -> BigInt,
        claim -> Nullable<Text>,
        last_error -> Nullable<Text>,
        done_at -> Nullable<BigInt>,
        outcome -> Nullable<Text>,
    }
}

diesel::table! {
    signing_keys (id) {
        id -> Text,
        public_key -> Binary,
        sealed_key -> Binary,
        created_at -> BigInt,
        signs_from -> BigInt,
        signs_until -> Nullable<BigInt>,
        published_until -> Nullable<BigInt>,
    }
}

diesel::joinable!(alert_sessions -> alerts (alert_id));
diesel::joinable!(former_tokens -> sessions (session_id));
diesel::joinable!(password_resets -> users (user_id));
diesel::joinable!(service_credentials -> services (service));
diesel::joinable!(pending_invalidations -> sessions (session_id));
diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(user_names -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(
    alert_sessions,
    alerts,
    audit,
    exchanged_tokens,
    former_tokens,
    issued_keys,
    lineage,
    live_store,
    node_leases,
    nodes,
    password_resets,
    service_credentials,
    services,
    sessions,
    signing_keys,
    pending_invalidations,
    user_names,
    users,
    webhook_outbox,
);
