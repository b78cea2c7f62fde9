CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, cents int NOT NULL);

INSERT INTO products SELECT n, 'product ' || n, 100 * n FROM generate_series(1, 100) AS n;

CREATE TABLE orders (
    id bigserial PRIMARY KEY,
    key text UNIQUE NOT NULL,
    product int NOT NULL REFERENCES products,
    state text NOT NULL CHECK (state IN ('paid', 'pending')),
    made timestamptz NOT NULL DEFAULT now()
);

