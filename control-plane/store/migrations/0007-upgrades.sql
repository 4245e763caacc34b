-- A new version of the agent or the daemon, given to the workers of a pool wave by wave.
create table upgrades (
  id uuid primary key default gen_random_uuid(),
  deployment_id uuid not null references deployments,
  pool text not null,
  program text not null check (program in ('agent', 'daemon')),
  version text not null,
  url text not null,
  sha256 text not null,
  signature text not null,
  downgrade boolean not null,
  wave_size integer not null check (wave_size > 0),
  -- How long a worker must have been healthy before it makes room for the next, and how long it may take to become so.
  soak interval not null,
  deadline interval not null,
  state text not null default 'running' check (state in ('running', 'done', 'failed', 'cancelled')),
  detail text,
  created_at timestamptz not null default now(),
  ended_at timestamptz
);
create unique index upgrades_running on upgrades (deployment_id, pool, program) where state = 'running';

create table upgrade_workers (
  upgrade_id uuid not null references upgrades on delete cascade,
  worker_id text not null,
  state text not null default 'asked' check (state in ('asked', 'installing', 'healthy', 'rolled_back', 'failed')),
  asked_at timestamptz not null default now(),
  settled_at timestamptz,
  detail text,
  primary key (upgrade_id, worker_id)
);
create index upgrade_workers_open on upgrade_workers (worker_id) where settled_at is null;
