-- Fails the transaction of who has acted on what a query would answer, where it answers otherwise.
create function must_be_foreseen(answer jsonb, foreseen jsonb) returns void language plpgsql as $$
begin
  if coalesce(answer, '[]') <> foreseen then
    raise exception 'what was read is not what was foreseen'
      using errcode = 'triggered_action_exception', hint = 'Nothing is lost: the control plane reads first and writes again.';
  end if;
end $$;
