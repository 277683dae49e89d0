-- The source's tables as `meridian migrate-in` expects them when no mapping says otherwise (see mapping.toml): the shape that
-- small MySQL shops have. Names of tables and columns are mapped; what counts is what the columns mean.
--
-- Primary keys are whole numbers that BIGINT holds. Money is decimal text with at most as many digits as its currency has. Moments
-- are DATETIME or TIMESTAMP in the mapping's time zone, or whole seconds or milliseconds since 1970.
--
-- A column that every change of a row sets (`updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP`)
-- is not needed, but with one on the tables of a kind a later run reads only what changed: see mapping.toml.

CREATE TABLE users (
  id            BIGINT PRIMARY KEY AUTO_INCREMENT,
  username      VARCHAR(50)  NOT NULL,
  nickname      VARCHAR(100) NULL,
  email         VARCHAR(255) NULL,          -- who has none cannot be taken in: people log in with it here
  phone         VARCHAR(32)  NULL,
  password_hash VARCHAR(255) NULL,          -- bcrypt or argon2id; others have to be set anew
  status        TINYINT      NOT NULL,      -- 0 disabled, 1 active
  created_at    DATETIME     NOT NULL
);

CREATE TABLE user_addresses (
  id            BIGINT PRIMARY KEY AUTO_INCREMENT,
  user_id       BIGINT       NOT NULL,
  receiver_name VARCHAR(100) NOT NULL,
  phone         VARCHAR(32)  NOT NULL,
  country       CHAR(2)      NULL,          -- ISO 3166-1 alpha-2
  province      VARCHAR(100) NULL,
  city          VARCHAR(100) NOT NULL,
  district      VARCHAR(100) NULL,
  detail        VARCHAR(200) NOT NULL,
  postal_code   VARCHAR(20)  NULL,
  is_default    TINYINT      NOT NULL DEFAULT 0,
  KEY by_user (user_id)
);

CREATE TABLE categories (
  id        BIGINT PRIMARY KEY AUTO_INCREMENT,
  parent_id BIGINT       NULL,              -- 0 or NULL at the top
  name      VARCHAR(100) NOT NULL
);

CREATE TABLE brands (
  id   BIGINT PRIMARY KEY AUTO_INCREMENT,
  name VARCHAR(100) NOT NULL
);

CREATE TABLE products (
  id          BIGINT PRIMARY KEY AUTO_INCREMENT,
  category_id BIGINT       NULL,
  brand_id    BIGINT       NULL,
  name        VARCHAR(300) NOT NULL,
  description MEDIUMTEXT   NULL,            -- HTML
  main_image  VARCHAR(500) NULL,            -- http or https
  status      TINYINT      NOT NULL         -- 0 off the shelf, 1 on it
);

CREATE TABLE skus (
  id           BIGINT PRIMARY KEY AUTO_INCREMENT,
  product_id   BIGINT        NOT NULL,
  sku_code     VARCHAR(100)  NOT NULL,
  attributes   JSON          NULL,          -- {"Color": "Red", "Size": "M"}: at most three, the same names in all of a product
  barcode      VARCHAR(50)   NULL,
  price        DECIMAL(10,2) NOT NULL,
  stock        INT           NOT NULL,
  weight_grams INT           NULL,
  KEY by_product (product_id)
);

CREATE TABLE orders (
  id                BIGINT PRIMARY KEY AUTO_INCREMENT,
  order_no          VARCHAR(64)   NOT NULL,
  user_id           BIGINT        NOT NULL,
  status            TINYINT       NOT NULL, -- 0 waits for payment, 1 paid, 2 shipped, 3 delivered, 4 completed, 5 cancelled, 6 refunded
  currency          CHAR(3)       NULL,
  item_amount       DECIMAL(10,2) NOT NULL, -- the sum of its items
  discount_amount   DECIMAL(10,2) NOT NULL DEFAULT 0,
  shipping_amount   DECIMAL(10,2) NOT NULL DEFAULT 0,
  tax_amount        DECIMAL(10,2) NOT NULL DEFAULT 0,
  total_amount      DECIMAL(10,2) NOT NULL, -- item − discount + shipping + tax
  receiver_name     VARCHAR(100)  NOT NULL,
  receiver_phone    VARCHAR(32)   NOT NULL,
  receiver_country  CHAR(2)       NULL,
  receiver_province VARCHAR(100)  NULL,
  receiver_city     VARCHAR(100)  NULL,
  receiver_district VARCHAR(100)  NULL,
  receiver_detail   VARCHAR(300)  NOT NULL,
  receiver_postal   VARCHAR(20)   NULL,
  remark            VARCHAR(500)  NULL,
  created_at        DATETIME      NOT NULL,
  paid_at           DATETIME      NULL,
  shipped_at        DATETIME      NULL,
  completed_at      DATETIME      NULL,
  cancelled_at      DATETIME      NULL
);

CREATE TABLE order_items (
  id           BIGINT PRIMARY KEY AUTO_INCREMENT,
  order_id     BIGINT        NOT NULL,
  product_id   BIGINT        NOT NULL,
  sku_id       BIGINT        NOT NULL,
  product_name VARCHAR(300)  NOT NULL,
  sku_code     VARCHAR(100)  NULL,
  attributes   JSON          NULL,
  price        DECIMAL(10,2) NOT NULL,
  quantity     INT           NOT NULL,
  subtotal     DECIMAL(10,2) NOT NULL,      -- price × quantity
  KEY by_order (order_id)
);

CREATE TABLE payments (
  id             BIGINT PRIMARY KEY AUTO_INCREMENT,
  payment_no     VARCHAR(40)   NOT NULL,
  order_id       BIGINT        NOT NULL,
  channel        VARCHAR(20)   NOT NULL,    -- alipay, wechat, …
  amount         DECIMAL(10,2) NOT NULL,
  currency       CHAR(3)       NULL,
  status         TINYINT       NOT NULL,    -- 0 waits, 1 succeeded, 2 failed, 3 closed
  transaction_no VARCHAR(64)   NULL,        -- the provider's number
  created_at     DATETIME      NOT NULL,
  paid_at        DATETIME      NULL,
  KEY by_order (order_id)
);

CREATE TABLE refunds (
  id          BIGINT PRIMARY KEY AUTO_INCREMENT,
  refund_no   VARCHAR(64)   NULL,
  payment_id  BIGINT        NOT NULL,
  amount      DECIMAL(10,2) NOT NULL,
  status      TINYINT       NOT NULL,       -- 1 succeeded, 2 failed
  reason      VARCHAR(500)  NULL,
  created_at  DATETIME      NOT NULL,
  KEY by_payment (payment_id)
);
