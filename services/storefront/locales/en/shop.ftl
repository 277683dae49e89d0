# Texts of the shop's pages. Every key stands in every language; a test holds that, and that no page uses another.

# Frame
skip = Skip to the content
home-link = Meridian, home
nav-main = Main
nav-footer = More
nav-categories = Categories
nav-orders = Orders
nav-account = Account
nav-login = Log in
nav-cart = Cart
nav-api = API
nav-language = Language
search-label = Search the shop
search-placeholder = Search products
search-button = Search
suggestions = Suggestions
breadcrumbs = You are here
see-all = See all
save = Save
edit = Edit
remove = Remove
update = Update
cancel = Cancel
apply = Apply
optional = (optional)
issues-title = Please check what you entered

units = { $count ->
    [one] { $number } item
   *[other] { $number } items
}
products = { $count ->
    [one] { $number } product
   *[other] { $number } products
}

# Home
home-title = Good things from everywhere
home-description = Meridian is a shop for well-made things, shipped from the warehouse nearest to you.
hero-title = Good things, from everywhere to your door
hero-text = Well-made clothes, home and garden. Prices that explain themselves, stock that is really there.
hero-newest = See what is new
hero-categories = Browse categories
home-hot = People search for
home-categories = Categories
home-newest = Just arrived
home-best-selling = Best sellers
home-empty = The shelves are being filled. Come back in a moment.

# Categories and results
categories-title = All categories
category-description = { $name } at Meridian: filter by brand, price and stock.
subcategories = Below this category
filters = Filters
filters-close = Close filters
filters-active = Active filters
filters-clear = Clear all
filters-more = More
filter-on = (on)
filter-off = (remove filter)
facet-category = Category
facet-brand = Brand
facet-price = Price
facet-in-stock = In stock
price-range = Price range ({ $currency })
price-min = from
price-max = to
price-from = { $price } and more
price-up-to = up to { $price }
results = Results
results-count = { $count ->
    [one] { $number } result
   *[other] { $number } results
}
results-none-here = Nothing here matches all filters.
sort = Sort by
sort-relevance = Best match
sort-price-asc = Price, low to high
sort-price-desc = Price, high to low
sort-newest = Newest
sort-best-selling = Best selling
pages = Pages
page-next = Next page
page-first = First page
search-all-title = All products
search-title = Results for “{ $words }”
search-corrected = No exact matches, so we searched for
search-none = We found nothing for “{ $words }”.
search-tip-spelling = Check the spelling.
search-tip-fewer = Try fewer or more general words.
search-tip-browse = Browse the categories

# Product
gallery = Pictures
gallery-picture = Picture
price-now = Now
price-before = Before
price-none = No price at present
price-lowest = Lowest price of the 30 days before: { $price }
stock-in = In stock
stock-few = { $count ->
    [one] Only { $number } left
   *[other] Only { $number } left
}
stock-out = Out of stock
stock-out-explained = This one cannot be bought at the moment. Try another option, or look again later.
quantity = Quantity
add-to-cart = Add to cart
sku-code = Item { $code }
product-about = About this product
product-attributes = Details
answer-yes = Yes
answer-no = No
promise-shipping = Shipping and tax are shown before you pay
promise-hold = Your items are held while you pay
promise-cancel = Cancel free of charge until it ships

# Cart
cart-title = Cart
cart-empty = Your cart is empty.
cart-empty-go = Start shopping
cart-changed = Something changed since you were last here. Look at the marked lines.
cart-lines = Items in the cart
cart-summary = Summary
cart-units = Quantity
cart-then = Shipping and tax come next.
cart-nothing-sold = Nothing in your cart can be bought at the moment.
cart-go-on = Keep shopping
to-checkout = Go to checkout
unit-price = { $price } each
quantity-of = Quantity of { $title }
change-price-rose = The price rose from { $from } to { $to }.
change-price-fell = The price fell from { $from } to { $to }.
change-stock-short = { $count ->
    [one] Only { $number } can be bought now.
   *[other] Only { $number } can be bought now.
}
change-stock-gone = It is out of stock now.
change-not-sold = It is not sold any more and does not count.

# Checkout
checkout-title = Checkout
checkout-address = Deliver to
checkout-use-address = Deliver here
checkout-lines = Your items
checkout-edit-cart = Change cart
checkout-summary = Order summary
checkout-explained = How this is calculated
checkout-hold = Your items are held for you while you pay.
checkout-needs-address = Add an address to place the order.
place-order = Place order and pay
sum-subtotal = Subtotal
sum-discount = Discount
sum-shipping = Shipping
sum-free = Free
sum-tax = Tax
sum-tax-included = Includes tax
sum-total = Total

# Names of the rules in the calculation
rule-price-list = List price
rule-price-sale = Sale price
rule-tax-line = Tax
rule-tax-shipping = Tax on shipping
rule-tax-included = Prices include tax
rule-tax-added = Tax is added to prices
rule-subtotal = Subtotal
rule-total = Total
rule-shipping-flat = Shipping
rule-shipping-free = Free shipping
rule-rounding-half-up = Rounding
explain-tax-included = Market { $market }: prices include tax. The tax of each line is contained in it and not added.
explain-tax-added = Market { $market }: prices are without tax. The tax of each line is added to it.
explain-price-list = { $of }: { $quantity } at the list price of { $price }
explain-price-list-reduced = { $of }: { $quantity } at the list price of { $price } instead of { $before }
explain-price-sale = { $of }: { $quantity } at the sale price of { $price }
explain-price-sale-reduced = { $of }: { $quantity } at the sale price of { $price } instead of { $before }
explain-tax-line-none = { $of }: no tax
explain-tax-line-on = { $of }: { $rate } of { $base }
explain-tax-line-in = { $of }: { $rate }, contained in { $base }
explain-tax-shipping-none = No tax on shipping
explain-tax-shipping-on = { $rate } of { $base }
explain-tax-shipping-in = { $rate }, contained in { $base }
explain-rounding-half-up = { $of }: { $exact } is rounded half up to { $rounded }
explain-rounding-half-up-shipping = Shipping: { $exact } is rounded half up to { $rounded }
explain-subtotal = Sum of the lines
explain-shipping-flat = Flat rate to { $market } in { $currency }
explain-total-added = Subtotal { $subtotal } − discount { $discount } + shipping { $shipping } + tax { $tax }
explain-total-contains = Subtotal { $subtotal } − discount { $discount } + shipping { $shipping }; contains { $tax } of tax

# Payment
pay-title = Pay
pay-state = State of the payment
pay-number = Payment { $number }
pay-until = Pay until
pay-waiting = Waiting for the answer…
pay-to-order = See your order
pay-order-link = Back to the order
pay-again = Try again
intent-state-pending = Waiting for your payment
intent-state-pending-explained = Nothing has been taken from you yet. Your items are held until then.
intent-state-succeeded = Paid. Thank you!
intent-state-succeeded-explained = The payment arrived and your order is on its way.
intent-state-failed = The payment did not go through
intent-state-failed-explained = Nothing was taken from you. You can try again.
intent-state-cancelled = Cancelled
intent-state-cancelled-explained = The order was cancelled before it was paid.
intent-state-expired = Expired
intent-state-expired-explained = The time to pay is over and the items went back on the shelf.
intent-state-conflicted = We are checking this payment
intent-state-conflicted-explained = Something else than the total arrived. A person is looking at it and will contact you.
sandbox-title = Sandbox
sandbox-text = This shop takes no real money. Choose what the payment provider shall do.
sandbox-succeed = Pay
sandbox-fail = Let the payment fail
sandbox-more = What else can happen
sandbox-duplicate = Pay, told twice
sandbox-late = Pay after the time is over
sandbox-lost = Pay, but the answer gets lost
sandbox-wrong-amount = Pay a wrong amount

# Orders
orders-title = Your orders
orders-all = All
orders-filter = Filter by state
orders-empty = There are no orders here.
orders-number = Order
orders-what = Items
orders-placed = Placed
orders-state = State
order-title = Order { $number }
order-progress = Progress
order-lines = Items
order-history = History
order-payment = Payment
order-payment-number = Payment number
order-fulfilment = Delivery
order-pay = Pay now
order-pay-until = This order is waiting for its payment. Pay until
order-cancel = Cancel this order
order-cancel-text = What you paid goes back to you. This cannot be undone.
order-cancel-button = Cancel the order
order-cancelled-because = This order was cancelled: { $reason }
history-when = When
history-what = State
history-who = By
history-why = Why
milestone-placed = Placed
milestone-paid = Paid
milestone-shipped = Shipped
milestone-delivered = Delivered
milestone-cancelled = Cancelled
actor-shopper = You
actor-staff = Our staff
actor-system = The shop
order-state-pending-payment = Waiting for payment
order-state-paid = Paid
order-state-allocated = Being prepared
order-state-partly-shipped = Partly shipped
order-state-shipped = Shipped
order-state-delivered = Delivered
order-state-completed = Completed
order-state-cancelled = Cancelled
order-state-closed = Closed
payment-state-unpaid = Not paid
payment-state-paid = Paid
payment-state-partially-refunded = Partly refunded
payment-state-refunded = Refunded
payment-state-conflicted = Being checked
fulfilment-state-unfulfilled = Not shipped yet
fulfilment-state-partial = Partly shipped
fulfilment-state-shipped = Shipped
fulfilment-state-delivered = Delivered
fulfilment-state-returned = Returned
reason-placed = Order placed
reason-paid = Payment arrived
reason-shopper = Cancelled by you
reason-staff = Cancelled by our staff
reason-expired = Not paid in time
reason-cancelled = Cancelled
reason-out-of-stock = Paid when the stock was gone; your money goes back
reason-not-paid-in-time = Not paid in time
reason-paid-after-it-had-expired-the-stock-could-still-be-had = Paid late; the items could still be had
reason-paid-but-the-stock-is-gone-the-money-goes-back = Paid, but the stock is gone; your money goes back
reason-the-payment-that-did-not-match-was-refunded = The payment that did not match was refunded

# Account
login-title = Log in
login-button = Log in
login-new = New here?
register-title = Open an account
register-button = Open the account
register-have = Already have an account?
logout = Log out
account-title = Your account
account-profile = Profile
account-email = You log in as { $email }
account-addresses = Addresses
account-no-address = No address yet.
account-session = This device
account-session-text = Logging out ends the session on this device.
address-new-title = Add an address
address-edit-title = Change the address
address-save = Save the address
address-default = Default
address-make-default = Make default

# Fields
field-email = E-mail
field-password = Password
hint-password = At least 8 characters.
field-name = Name
field-phone = Phone
hint-phone = With the country code, such as +1 415 555 0100.
field-locale = Language
field-recipient = Recipient
field-country = Country or region
field-region = State or province
field-city = City
field-district = District
field-line1 = Street and number
field-line2 = Flat, floor, company
field-postal-code = Postal code
field-is-default = Use this address by default
field-remark = Note to the shop
field-reason = Reason
invalid-email = Enter an e-mail address such as ada@example.com.
invalid-password = Enter a password of 8 to 128 characters.
invalid-name = Enter a name of 1 to 100 characters.
invalid-phone = Enter a phone number with its country code, such as +1 415 555 0100.
invalid-recipient = Enter who receives the parcel.
invalid-country = Choose a country or region.
invalid-region = Enter at most 100 characters for the state or province.
invalid-city = Enter the city.
invalid-district = Enter at most 100 characters for the district.
invalid-line1 = Enter street and number.
invalid-line2 = Enter at most 200 characters here.
invalid-postal-code = Enter at most 20 characters for the postal code.
invalid-remark = Enter at most 500 characters for the note.
invalid-reason = Enter at most 500 characters for the reason.
invalid-quantity = Enter a quantity between 1 and 999.

# What happened on the page before
flash-added = Added to your cart.
flash-added-to-limit = Your cart now has the most one can order of this item.
flash-cart-changed = Your cart has changed.
flash-prices-changed = Your cart is up to date. Prices in it have changed since you last looked.
flash-removed = Removed from your cart.
flash-welcome = Welcome back.
flash-registered = Your account is open. Welcome!
flash-goodbye = You are logged out.
flash-profile-saved = Your profile is saved.
flash-address-saved = The address is saved.
flash-address-removed = The address is removed.
flash-pay-later = Your order is placed, but the payment could not be opened. Please try again in a moment.
flash-order-cancelled = The order is cancelled.

# Errors
error-title-403 = This was not done
error-title-404 = This page does not exist
error-title-429 = Too many attempts
error-title-4xx = This did not work
error-title-500 = Something went wrong on our side
error-title-503 = One moment, please
error-home = To the home page
error-request = Tell us this number if you write to us: { $id }
error-other = This could not be done. Please try again.
error-forged = The form was too old or did not come from this shop, so nothing was changed. Go back, load the page again and send it once more.
error-request-not-found = It may have been moved or removed, or the address has a typing error.
error-request-invalid = Something in the request is not valid. Check it and try again.
error-request-malformed = The request could not be read.
error-request-method-not-allowed = This address cannot be used like this.
error-request-conflict = Something has changed meanwhile. Load the page again.
error-request-timeout = Your request took too long to arrive. Please try again.
error-request-too-large = This is too large to be sent.
error-request-unsupported-media-type = Only forms of this shop can be sent here.
error-request-host = Staff use another address for this.
error-request-rate-limited = That was a lot at once. Wait a moment and try again.
error-auth-forbidden = Your account may not do this.
error-auth-unauthenticated = Please log in first.
error-server-internal = We have taken note of it and will look after it. Please try again.
error-server-unavailable = This part of the shop does not answer right now. Please try again in a moment.
error-server-timeout = This took too long. Please try again in a moment.
error-edge-region-out = This address is being looked after and no other is there right now. Please try again in a moment.
error-edge-read-only = You can look around, but nothing can be bought or changed for a moment. Please come back shortly.
error-edge-queue-full = Very many people are here right now, and you did not get in yet. Please try again in a moment.
error-edge-unsettled = We do not know whether this was done. Please look at your cart and your orders before you try again.
error-idempotency-key-missing = The form was incomplete. Load the page again and send it once more.
error-idempotency-key-reused = This form was sent before with other details. Please check your orders before you try again.
error-account-email-taken = There is already an account with this e-mail. Log in instead.
error-account-bad-credentials = E-mail or password is wrong.
error-account-locked = Too many attempts. Wait some minutes and try again.
error-account-token-invalid = You have been logged out. Please log in again.
error-cart-full = Your cart is full. Remove something first.
error-cart-empty = Your cart is empty.
error-cart-token-invalid = Your cart could not be found any more.
error-catalog-state = This product is not sold at present.
error-inventory-out-of-stock = There is not enough in stock for your order. Please change your cart.
error-inventory-hold-gone = Your items could not be held any longer. Please try again.
error-pricing-no-price = Something in your cart has no price at present. Please remove it.
error-pricing-not-sold = This is not sold at present.
error-pricing-mixed-currencies = Your cart has items in different currencies. Please order them one after the other.
error-pricing-quote-invalid = Your cart has changed meanwhile. This is what it comes to now; please check and place the order again.
error-pricing-quote-expired = Some time has passed. These are the prices now; please check and place the order again.
error-pricing-price-rose = A price has risen meanwhile. This is what it comes to now; please check and place the order again.
error-order-state = The order is in another state by now. Load the page again.
error-order-expired = The order was not paid in time.
error-payment-state = The payment is in another state by now.
error-payment-channel-unknown = This way to pay is not available.
error-payment-provider-unavailable = The payment provider does not answer right now. Please try again in a moment.
error-payment-sandbox-disabled = The sandbox is switched off here.

# Help
help-title = Help
help-order-q = How do I order?
help-order-a = Put what you like into the cart, go to checkout, choose an address and place the order. You see shipping and tax, and how they are calculated, before you place it.
help-pay-q = How and until when do I pay?
help-pay-a = You pay right after placing the order. Your items are held for you meanwhile; the order page says until when. If a payment fails, nothing is taken and you can try again.
help-shipping-q = What does shipping cost?
help-shipping-a = It depends on where you live and is shown at checkout as soon as you have chosen an address.
help-cancel-q = Can I cancel?
help-cancel-a = Yes, on the order's page, until it has left our warehouse. What you paid goes back the way it came.
help-cart-q = Why did something change in my cart?
help-cart-a = Prices and stock are live. When a price changes or an item runs short after you put it in, the cart says so. Nothing costs more than what checkout showed you.
help-account-q = Do I need an account?
help-account-a = To look around and fill a cart, no. To order, yes: so that you can follow the order and we know where it goes. Your cart comes along when you log in.
help-privacy-q = Which cookies do you use?
help-privacy-a = Only those the shop needs: your log-in, your cart, your language and a random number that protects forms. Nothing is shared with others.
