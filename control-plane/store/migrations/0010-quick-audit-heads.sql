-- One statement less for every entry: the head is there for all but the first.
create or replace function chain_audit_entry() returns trigger language plpgsql as $$
declare
  head audit_heads;
begin
  select * into head from audit_heads where deployment_id = new.deployment_id for update;
  if not found then
    insert into audit_heads values (new.deployment_id, 0, '') on conflict do nothing;
    select * into head from audit_heads where deployment_id = new.deployment_id for update;
  end if;
  new.seq := head.seq + 1;
  new.hash := audit_hash(head.hash, new);
  update audit_heads set seq = new.seq, hash = new.hash where deployment_id = new.deployment_id;
  return new;
end $$;
