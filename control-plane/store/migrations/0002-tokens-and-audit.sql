create table tokens (
  id uuid primary key default gen_random_uuid(),
  kind text not null check (kind in ('operator', 'deployment', 'worker')),
  -- Null for an operator of every deployment.
  deployment_id uuid references deployments,
  session_id uuid references sessions on delete cascade,
  -- SHA-256 of a random 256-bit token: nothing to guess, so nothing to slow down.
  hash bytea not null unique,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  check ((kind = 'worker') = (session_id is not null)),
  check (kind = 'operator' or deployment_id is not null)
);

create table audit_log (
  deployment_id uuid not null references deployments,
  seq bigint not null,
  at timestamptz not null default now(),
  actor text not null,
  action text not null,
  subject text not null,
  detail jsonb not null default '{}',
  hash bytea not null,
  primary key (deployment_id, seq)
);

create table audit_heads (
  deployment_id uuid primary key references deployments,
  seq bigint not null,
  hash bytea not null
);

create function audit_hash(previous bytea, entry audit_log) returns bytea stable language sql as $$
  select sha256(previous || convert_to(jsonb_build_array(
    entry.deployment_id, entry.seq, extract(epoch from entry.at), entry.actor, entry.action, entry.subject, entry.detail
  )::text, 'UTF8'))
$$;

-- Takes the head's lock until the end of the transaction: entries are chained in the order of commits.
create function chain_audit_entry() returns trigger language plpgsql as $$
declare
  head audit_heads;
begin
  insert into audit_heads values (new.deployment_id, 0, '') on conflict do nothing;
  select * into head from audit_heads where deployment_id = new.deployment_id for update;
  new.seq := head.seq + 1;
  new.hash := audit_hash(head.hash, new);
  update audit_heads set seq = new.seq, hash = new.hash where deployment_id = new.deployment_id;
  return new;
end $$;
create trigger chain_audit_entry before insert on audit_log for each row execute function chain_audit_entry();

create function refuse_audit_change() returns trigger language plpgsql as $$
begin
  raise exception 'the audit log is only ever added to';
end $$;
create trigger refuse_audit_change before update or delete or truncate on audit_log
  for each statement execute function refuse_audit_change();
