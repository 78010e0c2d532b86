<?php
// Gives Admin the password that comes on standard input, unless it is that already. Directly in the database: the
// API knows only who knows the present password, and that of a new database is public.
$password = stream_get_contents(STDIN);
$database = pg_connect('dbname=zabbix') or exit(1);
$row = pg_fetch_row(pg_query($database, "SELECT passwd FROM users WHERE username = 'Admin'"));
if ($row === false) {
	fwrite(STDERR, "the database has no user Admin\n");
	exit(1);
}
if (password_verify($password, $row[0])) {
	exit(0);
}
$hash = password_hash($password, PASSWORD_BCRYPT);
pg_query_params($database, "UPDATE users SET passwd = \$1, attempt_failed = 0 WHERE username = 'Admin'", [$hash])
	or exit(1);
echo 'changed';
