-- Entries are added, and deleted for their age, with the rights of the log's owner: a role that runs the control plane needs none to change
-- the log itself.
create function delete_past_audit_entries(chain uuid, days integer, portion integer) returns bigint language plpgsql as $$
declare
  deleted bigint;
begin
  with old as (
    select seq, hash, bool_and(at < now() - make_interval(days => days)) over (order by seq) as is_past
    from audit_log where deployment_id = chain order by seq limit portion
  ), last as (
    select seq, hash from old where is_past order by seq desc limit 1
  ), moved as (
    update audit_heads set past_seq = last.seq, past_hash = last.hash from last
    where deployment_id = chain and past_seq < last.seq returning past_seq
  )
  delete from audit_log entry using moved where entry.deployment_id = chain and entry.seq <= moved.past_seq;
  get diagnostics deleted = row_count;
  return deleted;
end $$;

do $$
declare
  signature text;
begin
  foreach signature in array array['add_audit_entries(audit_log[])', 'delete_past_audit_entries(uuid, integer, integer)'] loop
    execute format('alter function %s security definer set search_path = %I, pg_temp', signature, current_schema());
    execute format('revoke execute on function %s from public', signature);
  end loop;
end $$;
