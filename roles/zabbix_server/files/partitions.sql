-- History by day, the audit log by week, trends by month: what is older than the housekeeper's limit goes by dropping a
-- partition. The lengths are those of Zabbix' own timescaledb.sql, which Debian leaves out; the housekeeper knows of the
-- partitions by db_extension.
SELECT create_hypertable(name::regclass, 'clock', chunk_time_interval => length, migrate_data => true)
FROM (VALUES
  ('history', 86400), ('history_uint', 86400), ('history_log', 86400), ('history_text', 86400), ('history_str', 86400),
  ('history_bin', 86400), ('trends', 2592000), ('trends_uint', 2592000)
) AS partitioned (name, length);

-- The key of a line of the audit log (a CUID) begins with "c" and its time in milliseconds, eight digits to the base 36.
CREATE FUNCTION cuid_timestamp(cuid varchar) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
  SELECT floor(sum((position(digit IN '0123456789abcdefghijklmnopqrstuvwxyz') - 1) * 36::numeric ^ (8 - place)) / 1000)
  FROM regexp_split_to_table(substring(cuid FROM 2 FOR 8), '') WITH ORDINALITY AS digits (digit, place)
$$;
SELECT create_hypertable(
  'auditlog', 'auditid', chunk_time_interval => 604800, time_partitioning_func => 'cuid_timestamp', migrate_data => true
);

-- How old a partition may become is one number for all items, not one for each.
UPDATE config SET db_extension = 'timescaledb', hk_history_global = 1, hk_trends_global = 1;
