-- Entries up to this one were deleted for their age; the next is chained to its hash.
alter table audit_heads add column past_seq bigint not null default 0, add column past_hash bytea not null default '';

create or replace function refuse_audit_change() returns trigger language plpgsql as $$
begin
  raise exception 'the audit log is only ever added to; what is older than 90 days may be deleted';
end $$;
drop trigger refuse_audit_change on audit_log;
create trigger refuse_audit_change before update or truncate on audit_log
  for each statement execute function refuse_audit_change();
create trigger refuse_audit_deletion before delete on audit_log
  for each row when (old.at > now() - interval '90 days') execute function refuse_audit_change();
