#!/usr/bin/perl
# Answers dbmazz's control API as a daemon that replicates, and moves no row: light enough for a hundred on one machine.
use strict;
use warnings;
use IO::Socket::INET;

my $server = IO::Socket::INET->new(LocalPort => $ENV{DBMAZZ_CONTROL_PORT}, Listen => 32, ReuseAddr => 1)
  or die "port $ENV{DBMAZZ_CONTROL_PORT}: $@\n";
my $tables = join ',', map { "\"$_\"" } split /,/, $ENV{TABLES};
my %answers = (
  'health' => '{"status":"serving","stage":"cdc","stage_detail":"Replicating","error_detail":""}',
  'cdc/status' => qq({"state":"running","slot_name":"$ENV{SOURCE_SLOT_NAME}","tables":[$tables],"pending_events":0,)
    . '"confirmed_lsn":25165824,"snapshot_active":false,"snapshot_chunks_done":0}',
  'cdc/metrics' => '[{"events_per_second":1,"lag_bytes":2,"memory_bytes":3,"total_events_processed":4,'
    . '"cpu_millicores":5,"replication_lag_ms":6}]',
);
$| = 1;
print "Replicating $ENV{TABLES}\n";

while (my $client = $server->accept) {
  local $/ = "\r\n";
  my $request = <$client> // next;
  my $length = 0;
  while (my $line = <$client>) {
    last if $line eq $/;
    $length = $1 if $line =~ /^content-length: (\d+)/i;
  }
  read $client, my $body, $length if $length;
  my ($path) = $request =~ m{/api/v1/([a-z/]+)};
  my $answer = $answers{$path} // '{"success":true,"message":"done"}';
  printf $client "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s",
    length $answer, $answer;
  close $client;
  exit 0 if $path eq 'cdc/stop';
}
