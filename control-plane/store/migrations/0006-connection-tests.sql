-- A worker is asked to try a connection from where it is, and says step by step how it went.
create table connection_tests (
  id uuid primary key default gen_random_uuid(),
  deployment_id uuid not null references deployments,
  datasource_id uuid not null references datasources on delete cascade,
  role text not null check (role in ('source', 'sink')),
  session_id uuid not null references sessions on delete cascade,
  asked_at timestamptz not null default now(),
  expires_at timestamptz not null,
  answered_at timestamptz,
  ok boolean,
  steps jsonb
);
create index connection_tests_open on connection_tests (session_id) where answered_at is null;
