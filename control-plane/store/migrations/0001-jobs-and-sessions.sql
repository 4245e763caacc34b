create table deployments (
  id uuid primary key default gen_random_uuid(),
  name text not null unique,
  created_at timestamptz not null default now()
);

-- One row: since when some copy of the control plane has been up without a gap.
create table pulse (
  singleton boolean primary key default true check (singleton),
  up_since timestamptz not null default now(),
  seen_at timestamptz not null default now()
);
insert into pulse default values;

create table datasources (
  id uuid primary key default gen_random_uuid(),
  deployment_id uuid not null references deployments,
  name text not null,
  engine text not null,
  url text not null,
  username text not null,
  options jsonb not null default '{}',
  sealed_password text not null,
  -- Bound into the sealed password, so that an older one cannot be put back.
  version integer not null default 1,
  unique (deployment_id, name)
);

create table sessions (
  id uuid primary key,
  deployment_id uuid not null references deployments,
  worker_id text not null,
  epoch bigint generated always as identity,
  state text not null default 'registered' check (state in ('registered', 'open', 'closed')),
  pool text not null,
  labels jsonb not null,
  slots integer not null,
  features text[] not null,
  agent_version text not null,
  daemon_version text not null,
  -- Set by the operator or by the worker itself: no claim is answered any more.
  draining boolean not null default false,
  registered_at timestamptz not null default now(),
  closed_at timestamptz
);
create index sessions_of_worker on sessions (deployment_id, worker_id, epoch);

-- Rewritten by every heartbeat: narrow, half empty pages, no index on what changes.
create table leases (
  session_id uuid primary key references sessions on delete cascade,
  expires_at timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

create table jobs (
  id uuid primary key default gen_random_uuid(),
  deployment_id uuid not null references deployments,
  name text not null,
  source_id uuid not null references datasources,
  sink_id uuid not null references datasources,
  tables text[] not null,
  snapshot boolean not null,
  options jsonb not null default '{}',
  pool text not null,
  labels jsonb not null default '{}',
  priority integer not null default 100,
  on_disconnect text not null default 'stop' check (on_disconnect in ('stop', 'keep')),
  max_retries integer not null default 10,
  state text not null default 'created' check (state in
    ('created', 'pending', 'starting', 'running', 'paused', 'stopped', 'failed', 'completed', 'deleted')),
  desired text not null default 'run' check (desired in ('run', 'pause', 'stop', 'delete')),
  fence bigint not null default 0,
  session_id uuid references sessions,
  claim_id uuid,
  grant_expires_at timestamptz,
  reported_session uuid,
  reported_fence bigint,
  failures integer not null default 0,
  not_before timestamptz not null default now(),
  checkpoint_seq bigint,
  checkpoint_phase text,
  checkpoint_position text,
  gap_after text,
  last_error text,
  log_tail text[] not null default '{}',
  created_at timestamptz not null default now(),
  check ((session_id is not null) = (state in ('starting', 'running')))
) with (fillfactor = 80);
create unique index jobs_by_name on jobs (deployment_id, name) where state <> 'deleted';
create index jobs_of_session on jobs (session_id) where session_id is not null;

-- What may be claimed, and nothing else: claims stay quick whatever has piled up in jobs.
create table ready_jobs (
  deployment_id uuid not null,
  pool text not null,
  priority integer not null,
  not_before timestamptz not null,
  job_id uuid primary key references jobs on delete cascade,
  labels jsonb not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
-- Starts with the deployment and the pool and goes on in claim order, so that no plan can prefer the primary key.
create index ready_jobs_in_order on ready_jobs (deployment_id, pool, priority, not_before, job_id);

create function keep_ready_jobs() returns trigger language plpgsql as $$
begin
  if new.state = 'pending' then
    insert into ready_jobs (deployment_id, pool, priority, not_before, job_id, labels)
    values (new.deployment_id, new.pool, new.priority, new.not_before, new.id, new.labels)
    on conflict (job_id) do update set not_before = excluded.not_before, priority = excluded.priority;
  elsif tg_op = 'UPDATE' and old.state = 'pending' then
    delete from ready_jobs where job_id = new.id;
  end if;
  return null;
end $$;
create trigger keep_ready_jobs after insert or update of state, not_before, priority on jobs
  for each row execute function keep_ready_jobs();

create table job_metrics (
  job_id uuid primary key references jobs on delete cascade,
  fence bigint not null,
  figures jsonb not null,
  measured_at timestamptz not null default now()
) with (fillfactor = 50);
