-- What is looked at before a database is used.
SELECT
    current_setting('server_version_num')::int AS version_number,
    current_setting('server_version') AS version_text,
    current_setting('server_encoding') AS encoding,
    pg_is_in_recovery() AS in_recovery,
    current_setting('default_transaction_read_only') AS read_only,
    current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_user::text AS role_name,
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
    (SELECT rolconnlimit::bigint FROM pg_roles WHERE rolname = current_user) AS role_connections_max,
    (SELECT datconnlimit::bigint FROM pg_database WHERE datname = current_database()) AS database_connections_max,
    current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
        AS connections_max,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections_used,
    (SELECT coalesce(bool_or(ssl), FALSE) FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS encrypted,
    (inet_client_addr() IS NULL OR inet_client_addr() <<= '127.0.0.0/8' OR inet_client_addr() = '::1') AS local,
    current_schema()::text AS namespace,
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), FALSE) AS may_create,
    to_regclass('_sqlx_migrations') IS NOT NULL AS migrated,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
