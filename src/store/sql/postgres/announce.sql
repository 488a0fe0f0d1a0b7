SELECT pg_notify('syncline', $1)
